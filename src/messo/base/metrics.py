"""What the operations port shows: counters and histograms, labelled by nothing personal."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

registry = CollectorRegistry()

# Buckets in seconds, dense where the bars of the design lie (20 ms, 250 ms, 1 s).
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600)
_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)

requests = Counter("messo_requests", "Requests answered.", ["route", "status"], registry=registry)
request_seconds = Histogram(
    "messo_request_seconds",
    "From request to answer.",
    ["route"],
    buckets=_SECONDS,
    registry=registry,
)
accepted = Counter("messo_messages_accepted", "Messages answered with 201.", registry=registry)
decided = Counter(
    "messo_messages_decided", "Messages decided, by outcome.", ["outcome"], registry=registry
)
inbox_seconds = Histogram(
    "messo_accept_to_inbox_seconds",
    "From acceptance to the decision.",
    buckets=_SECONDS,
    registry=registry,
)
batch_size = Histogram(
    "messo_batch_size", "Items of one transaction.", ["step"], buckets=_SIZES, registry=registry
)
batch_seconds = Histogram(
    "messo_batch_seconds",
    "Duration of one transaction.",
    ["step"],
    buckets=_SECONDS,
    registry=registry,
)
step_failures = Counter(
    "messo_step_failures", "Transactions of a step that failed.", ["step"], registry=registry
)
deliveries = Counter(
    "messo_deliveries",
    "What came of notices, by channel.",
    ["channel", "outcome"],
    registry=registry,
)
send_seconds = Histogram(
    "messo_send_seconds",
    "One attempt to send something outside, by step.",
    ["step"],
    buckets=_SECONDS,
    registry=registry,
)
queue_depth = Gauge(
    "messo_queue_depth", "Work items waiting, by step.", ["step"], registry=registry
)
queue_age = Gauge(
    "messo_queue_age_seconds",
    "How long the oldest due item has waited.",
    ["step"],
    registry=registry,
)
pool_used = Gauge("messo_pool_used", "Database connections lent out.", registry=registry)
guard_refused = Counter(
    "messo_guard_refused", "Messages refused as mass communication.", registry=registry
)
