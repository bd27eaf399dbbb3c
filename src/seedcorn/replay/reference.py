"""The slow, obvious twin of the kernels: one step, one token, one block at a time.

Nothing here is clever, so that it can be read against vLLM's scheduler and believed. Tests hold the
kernels to it; nothing else uses it.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from seedcorn.domain.workload import EngineSettings, Router, Trace
from seedcorn.perf.step_model import StepModel

BlockContent = tuple[int, int]
"""What a full block holds: (request, index of the block in its sequence). No two requests share content."""


class BlockPool:
    """KV blocks by id, with vLLM's free queue: taken from its head, given back to its tail.

    Law: every block is either free or owned by exactly one request.
    """

    def __init__(self, num_blocks: int) -> None:
        self.num_blocks = num_blocks
        self.free = deque(range(num_blocks))
        self.content_of: dict[int, BlockContent] = {}
        self.block_with: dict[BlockContent, int] = {}
        self.owned: dict[int, list[int]] = {}

    def longest_hit(self, request: int, max_blocks: int) -> list[int]:
        """Blocks, from the first on, that still hold what ``request`` computed before."""
        hit: list[int] = []
        while len(hit) < max_blocks and (request, len(hit)) in self.block_with:
            hit.append(self.block_with[request, len(hit)])
        return hit

    def take(self, request: int, num_blocks: int, hit: Sequence[int] = ()) -> bool:
        """Give ``request`` its ``hit`` blocks and ``num_blocks`` new ones, or nothing if they do not suffice."""
        if len(hit) + num_blocks > len(self.free):
            return False
        owned = self.owned.setdefault(request, [])
        for block in hit:
            self.free.remove(block)
            owned.append(block)
        for _ in range(num_blocks):
            block = self.free.popleft()
            content = self.content_of.pop(block, None)
            if content is not None:
                del self.block_with[content]
            owned.append(block)
        self._check()
        return True

    def remember(self, request: int, num_full: int) -> None:
        """Note the content of the first ``num_full`` blocks of ``request``."""
        for index, block in enumerate(self.owned[request][:num_full]):
            self.content_of[block] = (request, index)
            self.block_with[request, index] = block

    def give_back(self, request: int) -> None:
        """Free all blocks of ``request``, the last first, so that the first are evicted last."""
        self.free.extend(reversed(self.owned.pop(request)))
        self._check()

    def _check(self) -> None:
        used = [block for blocks in self.owned.values() for block in blocks]
        assert len(used) + len(self.free) == self.num_blocks
        assert len(set(used) | set(self.free)) == self.num_blocks


@dataclass(slots=True)
class Running:
    """A request inside an engine, waiting or running.

    Attributes:
        computed: Tokens in the KV cache.
        decodes: Whether its prompt (with what it had generated, after a preemption) is complete.
        token_s: When each of its tokens came.
    """

    request: int
    arrival_s: float
    input_tokens: int
    output_tokens: int
    computed: int = 0
    decodes: bool = False
    token_s: list[float] = field(default_factory=list)
    preemptions: int = 0

    @property
    def tokens(self) -> int:
        """Prompt and generated tokens: what must be in the cache before the next token comes."""
        return self.input_tokens + len(self.token_s)

    @property
    def peak_tokens(self) -> int:
        """Tokens in the cache at the end; its last token is never computed."""
        return self.input_tokens + self.output_tokens - 1


class Replica:
    """One engine: vLLM v1's ``schedule()`` and a clock."""

    def __init__(self, model: StepModel, engine: EngineSettings) -> None:
        self.model = model
        self.engine = engine
        self.pool = BlockPool(max(model.kv_tokens // engine.block_size - 1, 0))
        self.clock_s = 0.0
        self.busy_s = 0.0
        self.steps = 0
        self.waiting: deque[Running] = deque()
        self.running: list[Running] = []

    def can_hold(self, request: Running) -> bool:
        """Whether ``request`` alone fits, up to its last step."""
        return self._blocks(request.peak_tokens) <= self.pool.num_blocks

    @property
    def outstanding(self) -> int:
        """Tokens of everything sent here that no step has started to compute."""
        return sum(r.peak_tokens - r.computed for r in [*self.waiting, *self.running])

    def run(self, until_s: float) -> None:
        """Every step that starts before ``until_s``."""
        while self.waiting or self.running:
            if not self.running:
                self.clock_s = max(self.clock_s, self.waiting[0].arrival_s)
            if self.clock_s >= until_s:
                return
            self._step(self._schedule())

    def _schedule(self) -> list[tuple[Running, int]]:
        """Who computes how many tokens in the next step."""
        scheduled: list[tuple[Running, int]] = []
        budget = self.engine.max_num_batched_tokens
        preempted = False
        for request in list(self.running):
            if request not in self.running:
                break
            chunk = min(request.tokens - request.computed, budget)
            while not self._grow(request, chunk):
                preempted = True
                if self._preempt_last() is request:
                    break
            if request in self.running:
                scheduled.append((request, chunk))
                budget -= chunk
        while not preempted and self.waiting and budget > 0 and len(self.running) < self.engine.max_num_seqs:
            request = self.waiting[0]
            if request.arrival_s > self.clock_s:
                break
            hit = self._hit(request)
            start = len(hit) * self.engine.block_size
            chunk = min(request.tokens - start, budget)
            if not self.pool.take(request.request, self._blocks(start + chunk) - len(hit), hit):
                break
            request.computed = start
            self.running.append(self.waiting.popleft())
            scheduled.append((request, chunk))
            budget -= chunk
        return scheduled

    def _step(self, scheduled: list[tuple[Running, int]]) -> None:
        """Run one step; whoever has everything computed emits a token at its end."""
        decodes = [request for request, _ in scheduled if request.decodes]
        prefills = [(request, chunk) for request, chunk in scheduled if not request.decodes]
        step_s = self.model.step_s(
            decode_seqs=len(decodes),
            prefill_tokens=sum(chunk for _, chunk in prefills),
            context_tokens=sum(request.tokens for request in decodes),
            pairs=sum(r.computed + j for r, chunk in prefills for j in range(1, chunk + 1)),
        )
        self.clock_s += step_s
        self.busy_s += step_s
        self.steps += 1
        for request, chunk in scheduled:
            request.computed += chunk
            if self.engine.prefix_caching:
                self.pool.remember(request.request, request.computed // self.engine.block_size)
            if request.computed < request.tokens:
                continue
            request.token_s.append(self.clock_s)
            request.decodes = True
            if len(request.token_s) == request.output_tokens:
                self.running.remove(request)
                self.pool.give_back(request.request)

    def _grow(self, request: Running, chunk: int) -> bool:
        """Blocks for ``chunk`` more tokens, if there are enough."""
        owned = len(self.pool.owned[request.request])
        return self.pool.take(request.request, self._blocks(request.computed + chunk) - owned)

    def _preempt_last(self) -> Running:
        """The last admitted goes to the head of the queue and loses its blocks."""
        request = self.running.pop()
        self.pool.give_back(request.request)
        request.computed = 0
        request.decodes = False
        request.preemptions += 1
        self.waiting.appendleft(request)
        return request

    def _hit(self, request: Running) -> list[int]:
        """Cached blocks to reuse: full ones, and never the whole of it, since something must be computed."""
        return self.pool.longest_hit(request.request, (request.tokens - 1) // self.engine.block_size)

    def _blocks(self, tokens: int) -> int:
        return -(-tokens // self.engine.block_size)


def replay_slowly(
    models: Sequence[StepModel],
    engine: EngineSettings,
    trace: Trace,
    *,
    router: Router,
    pairs: Sequence[tuple[int, int]] = (),
) -> tuple[list[Running | None], list[Replica]]:
    """Replay ``trace``: every request at its end (``None``: refused), and every replica at its own.

    ``pairs`` are what ``POWER_OF_TWO`` drew, a pair of replicas for each request.
    """
    replicas = [Replica(model, engine) for model in models]
    credit = dict.fromkeys(replicas, 0)
    ends: list[Running | None] = []
    columns = zip(trace.arrival_s, trace.input_tokens, trace.output_tokens, strict=True)
    for number, (arrival_s, input_tokens, output_tokens) in enumerate(columns):
        request = Running(number, float(arrival_s), int(input_tokens), int(output_tokens))
        able = [replica for replica in replicas if replica.can_hold(request)]
        for replica in replicas:
            replica.run(request.arrival_s)
        if not able:
            ends.append(None)
            continue
        if router is Router.ROUND_ROBIN:
            for replica in able:
                credit[replica] += 1
            chosen = max(able, key=lambda replica: credit[replica])
            credit[chosen] -= len(able)
        elif router is Router.LEAST_OUTSTANDING:
            chosen = min(able, key=lambda replica: replica.outstanding)
        else:
            circle = [*replicas, *replicas]
            pair = [next(r for r in circle[first:] if r in able) for first in pairs[number]]
            chosen = min(pair, key=lambda replica: (replica.outstanding, replicas.index(replica)))
        chosen.waiting.append(request)
        ends.append(request)
    for replica in replicas:
        replica.run(float("inf"))
    return ends, replicas
