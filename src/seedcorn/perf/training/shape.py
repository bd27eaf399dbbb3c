"""What of a model decides how long a training step takes, from its architecture or its parameter counts alone."""

from dataclasses import dataclass

from seedcorn.domain.model import ModelSpec
from seedcorn.domain.workload import TrainingJob

# Where only parameter counts are known: depth and width of GPT-3 175B (96 layers of 12,288:
# arXiv:2005.14165, table 2.1), which Llama 2 and 3 keep within 20 %; experts as DeepSeek-V3's
# (8 routed ones per token hold 0.6 of the active parameters: arXiv:2412.19437, section 4.2).
WIDTH_PER_LAYER = 128
PARAMS_PER_LAYER = 12  # times hidden_size²: attention 4, feed-forward 8
EXPERTS_PER_TOKEN = 8
EXPERT_SHARE = 0.6
VOCAB_SIZE = 128256  # Llama 3's; published ones run from 32,000 to 256,000


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingShape:
    """The sizes that a training step's time and memory follow from.

    Attributes:
        attention_width: Query heads times the mean of their query-key and value dimensions:
            ``hidden_size`` in most dense models.
        head_params: Parameters of the output head, which the last pipeline stage computes.
        expert_params: Parameters of all routed experts; 0 for a dense model.
        moe_layers: Layers with routed experts.
    """

    params: float
    active_params: float
    num_hidden_layers: int
    hidden_size: int
    attention_width: float
    head_params: float
    num_experts: int = 0
    num_experts_per_tok: int = 0
    moe_layers: int = 0
    expert_params: float = 0.0

    @property
    def weight_flop_per_token(self) -> float:
        """Forward and backward through the weights: 6 per active parameter (arXiv:2001.08361, section 2.1).

        The numerator of every MFU in this package: no attention term, no recomputation.
        """
        return 6 * self.active_params

    def attention_flop_per_token(self, sequence_length: int) -> float:
        """Forward and backward of causal attention over the context, projections left out.

        Scores and values take 12·L·width·s over a full square (arXiv:2205.05198, appendix A); a
        causal kernel computes half of it.
        """
        return 6 * self.num_hidden_layers * self.attention_width * sequence_length


def training_shape(job: TrainingJob) -> TrainingShape:
    """The shape of the job's model; estimated from its parameter counts where no architecture is given."""
    if job.model is not None:
        return _shape_of_model(job.model, job.params, job.active_params)
    return _shape_of_counts(job.params, job.active_params)


def _shape_of_model(model: ModelSpec, params: float, active_params: float) -> TrainingShape:
    query_key_dim = model.qk_nope_head_dim + model.qk_rope_head_dim if model.is_mla else model.head_dim
    value_dim = model.v_head_dim if model.is_mla else model.head_dim
    moe_layers = model.num_hidden_layers - model.first_k_dense_replace if model.is_moe else 0
    return TrainingShape(
        params=params,
        active_params=active_params,
        num_hidden_layers=model.num_hidden_layers,
        hidden_size=model.hidden_size,
        attention_width=model.num_attention_heads * (query_key_dim + value_dim) / 2,
        head_params=float(model.vocab_size * model.hidden_size),
        num_experts=model.num_experts,
        num_experts_per_tok=model.num_experts_per_tok,
        moe_layers=moe_layers,
        expert_params=moe_layers * model.num_experts * 3.0 * model.hidden_size * model.moe_intermediate_size,
    )


def _shape_of_counts(params: float, active_params: float) -> TrainingShape:
    """Width and depth that a dense model of ``active_params`` would have; the rest is experts."""
    hidden_size = round((WIDTH_PER_LAYER * active_params / PARAMS_PER_LAYER) ** (1 / 3))
    num_hidden_layers = max(1, round(hidden_size / WIDTH_PER_LAYER))
    is_moe = params > active_params
    expert_params = params - (1 - EXPERT_SHARE) * active_params if is_moe else 0.0
    return TrainingShape(
        params=params,
        active_params=active_params,
        num_hidden_layers=num_hidden_layers,
        hidden_size=hidden_size,
        attention_width=hidden_size,
        head_params=min(float(VOCAB_SIZE * hidden_size), active_params / 2),
        num_experts=round(EXPERTS_PER_TOKEN * expert_params / (EXPERT_SHARE * active_params))
        if is_moe
        else 0,
        num_experts_per_tok=EXPERTS_PER_TOKEN if is_moe else 0,
        moe_layers=num_hidden_layers if is_moe else 0,
        expert_params=expert_params,
    )
