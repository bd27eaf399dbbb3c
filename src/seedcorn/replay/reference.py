"""The slow, obvious twin of the kernels: one step, one token, one block at a time.

Nothing here is clever, so that it can be read against vLLM's scheduler and believed. Tests hold the
kernels to it; nothing else uses it.
"""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from seedcorn.domain.workload import EngineSettings, Prompts, Router, SchedulingPolicy, Trace
from seedcorn.perf.step_model import StepModel
from seedcorn.replay.availability import Spell
from seedcorn.replay.disaggregation import Disaggregated
from seedcorn.replay.serving import Operations, ReplicaGroup
from seedcorn.replay.traffic import part

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


class SharingPool:
    """KV blocks where prompts have blocks in common: each is held once, and found until its memory is wanted.

    Blocks without content are taken first; then cached blocks that nobody uses, the longest unused first.

    Law: blank blocks, cached blocks and the blocks that requests hold for themselves are all there are.
    """

    def __init__(self, num_blocks: int, engine: EngineSettings, prompts: Prompts) -> None:
        self.num_blocks = num_blocks
        self.blank = num_blocks
        self.per_entry = prompts.block_tokens // engine.block_size
        rows = zip(prompts.first[:-1].tolist(), prompts.first[1:].tolist(), strict=True)
        self.prompt_of = [prompts.ids[a:b].tolist() for a, b in rows]
        self.users: dict[int, set[int]] = {}
        self.idle: list[int] = []
        self.own: dict[int, int] = {}
        self.hit_tokens = 0

    @property
    def free(self) -> range:
        """As many as there are free blocks, cached ones included."""
        return range(self.blank + len(self.idle) * self.per_entry)

    @property
    def owned(self) -> dict[int, range]:
        """As many blocks for each request as it uses."""
        uses = Counter(request for users in self.users.values() for request in users)
        return {r: range(own + uses[r] * self.per_entry) for r, own in self.own.items()}

    def longest_hit(self, request: int, max_blocks: int) -> list[int]:
        """The entries, from the prompt's start on, that are cached: each as often as it has KV blocks."""
        hit: list[int] = []
        for block in self.prompt_of[request][: max_blocks // self.per_entry]:
            if block not in self.users:
                break
            hit += [block] * self.per_entry
        return hit

    def take(self, request: int, num_blocks: int, hit: Sequence[int] = ()) -> bool:
        """As :meth:`BlockPool.take`."""
        entries = list(dict.fromkeys(hit))
        from_idle = sum(self.per_entry for entry in entries if not self.users[entry])
        if from_idle + num_blocks > len(self.free):
            return False
        for entry in entries:
            if not self.users[entry]:
                self.idle.remove(entry)
            self.users[entry].add(request)
        self.hit_tokens += len(hit)
        while self.blank < num_blocks:
            del self.users[self.idle.pop(0)]
            self.blank += self.per_entry
        self.blank -= num_blocks
        self.own[request] = self.own.get(request, 0) + num_blocks
        self._check()
        return True

    def remember(self, request: int, num_full: int) -> None:
        """Nothing: a prompt is found when it is complete."""

    def remember_prompt(self, request: int) -> None:
        """The prompt of ``request`` is complete: what is not cached of it is from now on."""
        for block in self.prompt_of[request]:
            if block not in self.users:
                self.users[block] = {request}
                self.own[request] -= self.per_entry
        self._check()

    def give_back(self, request: int) -> None:
        """Blocks that it alone has are blank; those that it used last are idle, the prompt's first the last to go."""
        self.blank += self.own.pop(request)
        for block in reversed(self.prompt_of[request]):
            if request in self.users.get(block, ()):
                self.users[block].remove(request)
                if not self.users[block]:
                    self.idle.append(block)
        self._check()

    def _check(self) -> None:
        cached = len(self.users) * self.per_entry
        assert min(self.own.values(), default=0) >= 0
        assert self.blank + cached + sum(self.own.values()) == self.num_blocks
        assert {entry for entry, users in self.users.items() if not users} == set(self.idle)


@dataclass(slots=True)
class Running:
    """A request inside an engine, waiting or running.

    Attributes:
        arrival_s: When it was sent to its replica.
        sent: How many were sent anywhere before it was.
        loaded: Tokens of its prompt whose KV comes with it, for its first admission.
        computed: Tokens in the KV cache.
        decodes: Whether its prompt (with what it had generated, after a preemption) is complete.
        token_s: When each of its tokens came.
    """

    request: int
    arrival_s: float
    input_tokens: int
    output_tokens: int
    sent: int
    priority: int = 0
    loaded: int = 0
    computed: int = 0
    decodes: bool = False
    token_s: list[float] = field(default_factory=list)
    preemptions: int = 0

    @property
    def rank(self) -> tuple[int, int]:
        """The least is admitted first and preempted last."""
        return self.priority, self.sent

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

    def __init__(self, model: StepModel, engine: EngineSettings, prompts: Prompts | None = None) -> None:
        self.model = model
        self.engine = engine
        self.prompts = prompts if engine.prefix_caching else None
        self.num_blocks = max(model.kv_tokens // engine.block_size - 1, 0)
        self.pool = self._empty_pool()
        self.clock_s = 0.0
        self.busy_s = 0.0
        self.steps = 0
        self.takes = True
        self.waiting: list[Running] = []
        self.running: list[Running] = []

    def _empty_pool(self) -> BlockPool | SharingPool:
        if self.prompts is None:
            return BlockPool(self.num_blocks)
        return SharingPool(self.num_blocks, self.engine, self.prompts)

    def can_hold(self, request: Running) -> bool:
        """Whether ``request`` alone fits, up to its last step."""
        return self._blocks(request.peak_tokens) <= self.num_blocks

    def hit_tokens(self, request: Running) -> int:
        """Tokens of its prompt that the cache holds, of as many as leave one to compute."""
        blocks = (request.input_tokens - 1) // self.engine.block_size
        return len(self.pool.longest_hit(request.request, blocks)) * self.engine.block_size

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

    def queue(self, request: Running) -> None:
        """Behind all that rank before it: by priority, then in the order sent."""
        self.waiting.append(request)
        self.waiting.sort(key=lambda waiting: waiting.rank)

    def lose(self) -> list[Running]:
        """Everything unfinished, and the cache with it."""
        lost = [*self.waiting, *self.running]
        self.waiting, self.running = [], []
        self.pool = self._empty_pool()
        return lost

    def _schedule(self) -> list[tuple[Running, int]]:
        """Who computes how many tokens in the next step.

        As vLLM does, but that blocks are taken when all is decided: under priority vLLM may give a
        sequence a block and preempt it later in the same step, which evicts one more cached block.
        """
        scheduled: list[tuple[Running, int]] = []
        preempted = False
        for request in list(self.running):
            if request not in self.running:
                continue
            chunk = min(request.tokens - request.computed, self._budget(scheduled))
            while sum(self._wanted(*each) for each in [*scheduled, (request, chunk)]) > len(self.pool.free):
                preempted = True
                victim = self._preempt_one()
                scheduled = [each for each in scheduled if each[0] is not victim]
                if victim is request:
                    break
            if request in self.running:
                scheduled.append((request, chunk))
        for request, chunk in scheduled:
            assert self.pool.take(request.request, self._wanted(request, chunk))
        while not preempted and self.waiting and len(self.running) < self.engine.max_num_seqs:
            request, budget = self.waiting[0], self._budget(scheduled)
            if request.arrival_s > self.clock_s or budget == 0:
                break
            hit = self._hit(request)
            start = max(len(hit) * self.engine.block_size, request.loaded)
            chunk = min(request.tokens - start, budget)
            if not self.pool.take(request.request, self._blocks(start + chunk) - len(hit), hit):
                break
            request.computed = start
            request.decodes = 0 < request.loaded == request.tokens - 1
            request.loaded = 0
            self.running.append(self.waiting.pop(0))
            scheduled.append((request, chunk))
        return scheduled

    def _budget(self, scheduled: Sequence[tuple[Running, int]]) -> int:
        """Tokens that the step has left."""
        return self.engine.max_num_batched_tokens - sum(chunk for _, chunk in scheduled)

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
            if isinstance(self.pool, SharingPool) and not request.decodes:
                self.pool.remember_prompt(request.request)
            request.token_s.append(self.clock_s)
            request.decodes = True
            if len(request.token_s) == request.output_tokens:
                self.running.remove(request)
                self.pool.give_back(request.request)

    def _wanted(self, request: Running, chunk: int) -> int:
        """Blocks that ``chunk`` more tokens take."""
        return self._blocks(request.computed + chunk) - len(self.pool.owned[request.request])

    def _preempt_one(self) -> Running:
        """The running request of the greatest rank goes back to the queue and loses its blocks."""
        request = max(self.running, key=lambda running: running.rank)
        self.running.remove(request)
        self.pool.give_back(request.request)
        request.computed = 0
        request.decodes = False
        request.preemptions += 1
        self.queue(request)
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
    loaded: Sequence[int] = (),
) -> tuple[list[Running | None], list[Replica]]:
    """Replay ``trace``: every request at its end (``None``: refused), and every replica at its own.

    ``pairs`` are what ``POWER_OF_TWO`` drew, a pair of replicas for each request; ``loaded`` the tokens of
    each prompt whose KV comes with the request.
    """
    replicas = [Replica(model, engine, trace.prompts) for model in models]
    credit = dict.fromkeys(replicas, 0)
    ends: list[Running | None] = []
    for number, request in enumerate(_arriving(trace, engine)):
        request.loaded = loaded[number] if loaded else 0
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
        else:
            pair = pairs[number] if router is Router.POWER_OF_TWO else (0, 0)
            chosen = _chosen(request, replicas, able, router, pair)
        chosen.queue(request)
        ends.append(request)
    for replica in replicas:
        replica.run(float("inf"))
    return ends, replicas


def _arriving(trace: Trace, engine: EngineSettings) -> Iterator[Running]:
    """The requests of ``trace`` as they arrive."""
    priorities = np.zeros(trace.num_requests, dtype=np.int32)
    if engine.scheduling_policy is SchedulingPolicy.PRIORITY and trace.priority is not None:
        priorities = trace.priority
    columns = (trace.arrival_s, trace.input_tokens, trace.output_tokens, priorities)
    for number, row in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        arrival_s, input_tokens, output_tokens, priority = row
        yield Running(number, arrival_s, input_tokens, output_tokens, sent=number, priority=priority)


def _chosen(
    request: Running,
    replicas: Sequence[Replica],
    able: Sequence[Replica],
    router: Router,
    pair: tuple[int, int],
) -> Replica:
    """By the outstanding tokens of all that are able, or of those from the ``pair`` on that are."""
    if router is Router.LEAST_OUTSTANDING:
        return min(able, key=lambda replica: replica.outstanding)
    if router is Router.PREFIX_AWARE:
        return min(able, key=lambda replica: replica.outstanding - replica.hit_tokens(request))
    circle = [*replicas, *replicas]
    two = [next(r for r in circle[first:] if r in able) for first in pair]
    return min(two, key=lambda replica: (replica.outstanding, replicas.index(replica)))


class Service:
    """Groups of replicas that serve one trace, moment by moment: the twin of ``serving.serve``.

    Attributes:
        ends: Every request at its end.
        refused: Why the others have none: ``too long``, ``full`` or ``none up``.
        retried: Requests sent again after a loss, as often as they were.
        lost: What was lost, as it was then.
    """

    def __init__(
        self,
        groups: Sequence[ReplicaGroup],
        trace: Trace,
        group_of: Sequence[int],
        *,
        router: Router,
        operations: Operations,
        pairs: Sequence[Sequence[tuple[int, int]]] = (),
    ) -> None:
        self.groups = [
            [Replica(group.step_model, group.engine, trace.prompts) for _ in range(group.replicas)]
            for group in groups
        ]
        self.group_of, self.router, self.operations = group_of, router, operations
        self.pairs = [iter(drawn) for drawn in pairs]
        self.turns = [0] * len(groups)
        self.sent = 0
        self.ends: dict[int, Running] = {}
        self.refused: dict[int, str] = {}
        self.held: list[Running] = []
        self.lost: list[Running] = []
        comings = [(spell.from_s, True, spell) for spell in operations.spells]
        goings = [(spell.to_s, False, spell) for spell in operations.spells]
        for _, _, spell in goings:
            self.groups[spell.group][spell.replica].takes = False
        self._change([coming for coming in comings if coming[0] <= 0], 0.0)
        changes = sorted(change for change in comings + goings if 0 < change[0] < float("inf"))
        for request in _arriving(trace, groups[0].engine):
            while changes and changes[0][0] <= request.arrival_s:
                changes = self._change_next(changes)
            self._run(request.arrival_s)
            self._send(request, request.arrival_s)
        while changes:
            changes = self._change_next(changes)
        self._run(float("inf"))
        self.refused |= {request.request: "none up" for request in self.held}

    def _run(self, until_s: float) -> None:
        for replica in (replica for group in self.groups for replica in group):
            replica.run(until_s)

    def _change_next(self, changes: list[tuple[float, bool, Spell]]) -> list[tuple[float, bool, Spell]]:
        """Do what happens first, all of it; the rest."""
        at_s = changes[0][0]
        self._run(at_s)
        self._change([change for change in changes if change[0] == at_s], at_s)
        return [change for change in changes if change[0] > at_s]

    def _change(self, at_once: Sequence[tuple[float, bool, Spell]], at_s: float) -> None:
        again, self.held = self.held, []
        for _, comes, spell in at_once:
            replica = self.groups[spell.group][spell.replica]
            replica.takes = comes
            if not comes and spell.lost:
                lost = replica.lose()
                self.lost += [replace(request, token_s=[*request.token_s]) for request in lost]
                again += lost
        for request in sorted(again, key=lambda request: request.request):
            del self.ends[request.request]
            afresh = replace(request, computed=0, decodes=False, token_s=[])
            self._send(afresh, at_s)

    def _send(self, request: Running, at_s: float) -> None:
        """To its group, or the next one in a circle that has a replica to hold it; else it waits."""
        request.arrival_s, request.sent = at_s, self.sent
        self.sent += 1
        self.ends[request.request] = request
        own, count = self.group_of[request.request], len(self.groups)
        if own < 0:
            self.refused[request.request] = "too long"
            return
        for g in [(own + k) % count for k in range(count)]:
            if self._able(g, request):
                self._send_to(g, request)
                return
        self.held.append(request)

    def _send_to(self, g: int, request: Running) -> None:
        able, to, operations = self._able(g, request), self.operations.spill_to, self.operations
        if self.router is Router.ROUND_ROBIN:
            chosen = able[self.turns[g] % len(able)]
            self.turns[g] += 1
        else:
            pair = next(self.pairs[g]) if self.router is Router.POWER_OF_TWO else (0, 0)
            chosen = _chosen(request, self.groups[g], able, self.router, pair)
        waiting = len(chosen.waiting)
        if to not in (None, g) and waiting >= operations.spill_waiting and self._able(to, request):
            self._send_to(to, request)
        elif operations.max_waiting is not None and waiting >= operations.max_waiting:
            self.refused[request.request] = "full"
        else:
            chosen.queue(request)

    def _able(self, g: int, request: Running) -> list[Replica]:
        """Replicas of group ``g`` that are in service and can hold ``request``."""
        return [replica for replica in self.groups[g] if replica.takes and replica.can_hold(request)]


@dataclass(frozen=True, slots=True)
class Handed:
    """A request whose prompt and answer were computed on different replicas: when each token came."""

    token_s: list[float]
    preemptions: int


def replay_disaggregated_slowly(unit: Disaggregated, trace: Trace) -> list[Handed | None]:
    """The twin of ``disaggregation.disaggregated_times``: every request at its end, ``None`` for the refused."""
    prefill, decode, link = unit.prefill, unit.decode, unit.link
    sides = [Replica(side.step_model, side.engine) for side in (prefill, decode)]
    whole = list(_arriving(trace, prefill.engine))
    served = [
        r.request for r in whole if sides[1].can_hold(r) and sides[0].can_hold(replace(r, output_tokens=1))
    ]
    first: dict[int, Running] = {}
    for p in range(prefill.replicas):
        mine = served[p :: prefill.replicas]
        prompts = replace(
            part(trace, np.array(mine, dtype=np.int64)), output_tokens=np.ones(len(mine), dtype=np.int32)
        )
        ends, _ = replay_slowly([prefill.step_model], prefill.engine, prompts, router=Router.ROUND_ROBIN)
        first |= {request: end for request, end in zip(mine, ends, strict=True) if end is not None}
    sends_at_s, receives_at_s = [0.0] * prefill.replicas, [0.0] * decode.replicas
    sent: list[list[tuple[float, int]]] = [[] for _ in receives_at_s]
    going_on = [request for request in served if whole[request].output_tokens > 1]
    for turn, request in enumerate(sorted(going_on, key=lambda r: (first[r].token_s[0], r))):
        p, d = served.index(request) % prefill.replicas, turn % decode.replicas
        start_s = max(first[request].token_s[0], sends_at_s[p], receives_at_s[d])
        seconds = link.latency_s + whole[request].input_tokens * (link.kv_bytes_per_token / link.bytes_per_s)
        sends_at_s[p] = receives_at_s[d] = start_s + seconds
        sent[d].append((start_s + seconds, request))
    then: dict[int, Running] = {}
    for arrivals in sent:
        mine = [request for _, request in arrivals]
        rest = part(trace, np.array(mine, dtype=np.int64))
        rest = replace(
            rest,
            arrival_s=np.array([at_s for at_s, _ in arrivals]),
            input_tokens=rest.input_tokens + 1,
            output_tokens=rest.output_tokens - 1,
        )
        loaded = [whole[request].input_tokens for request in mine]
        ends, _ = replay_slowly(
            [decode.step_model], decode.engine, rest, router=Router.ROUND_ROBIN, loaded=loaded
        )
        then |= {request: end for request, end in zip(mine, ends, strict=True) if end is not None}
    return [_handed(first.get(r.request), then.get(r.request)) for r in whole]


def _handed(first: Running | None, then: Running | None) -> Handed | None:
    if first is None:
        return None
    after = ([], 0) if then is None else (then.token_s, then.preemptions)
    return Handed([*first.token_s, *after[0]], first.preemptions + after[1])
