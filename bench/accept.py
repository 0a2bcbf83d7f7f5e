"""Durable accept: all gates on, against the same application with its database left out."""

from bench.ground import Ground, Line, console, load, median, server, submits

ROUNDS = 5
SECONDS = 4


def run(made: Ground) -> None:
    requests = submits(made)
    results: dict[str, list[dict[str, float]]] = {}
    with (
        server(made, "no-database") as (ceiling, _),
        server(made, "full") as (full, _),
        server(made, "no-guard") as (unguarded, _),
    ):
        ports = {"no-database": ceiling, "full": full, "no-guard": unguarded}
        for port in ports.values():
            load(port, requests, 1)  # warm
        for number in range(ROUNDS):
            for name, port in ports.items():
                result = load(port, requests, SECONDS)
                if set(result["codes"]) != {"201"}:
                    raise RuntimeError(f"{name}: {result['codes']}")
                console.print(f"  accept, round {number + 1}, {name}: {result}")
                results.setdefault(name, []).append(result)
    rate = {name: median([r["per_second"] for r in each]) for name, each in results.items()}
    p99 = median([r["p99_ms"] for r in results["full"]])
    ratio = median(
        [
            a["per_second"] / b["per_second"]
            for a, b in zip(results["full"], results["no-database"], strict=True)
        ]
    )
    guard = median(
        [
            a["per_second"] / b["per_second"]
            for a, b in zip(results["full"], results["no-guard"], strict=True)
        ]
    )
    made.lines += [
        Line(
            "durable accept, 64 connections",
            f"{rate['full']:,.0f}/s, p99 {p99:.1f} ms",
            f"{rate['no-database']:,.0f}/s without the database",
            f"{ratio:.2f}",
            "≥ 0.60, p99 ≤ 20 ms",
        ),
        Line(
            "mass guard on the accept path",
            f"{rate['full']:,.0f}/s",
            f"{rate['no-guard']:,.0f}/s without the guard",
            f"{guard:.2f}",
        ),
    ]
