"""Durable accept: all gates on, against the same application with its database left out."""

from itertools import product

from bench.ground import Ground, Line, console, load, median, server, submits

ROUNDS = 5
SECONDS = 4


def run(made: Ground) -> None:
    requests, shared = submits(made), submits(made, personal=False)
    results: dict[str, list[dict[str, float]]] = {}
    with (
        server(made, "no-database") as (ceiling, _),
        server(made, "full") as (full, _),
        server(made, "no-guard") as (unguarded, _),
    ):
        runs = {
            "no-database": (ceiling, requests),
            "full": (full, requests),
            "no-guard": (unguarded, requests),
            "shared": (full, shared),
            "no-guard again": (unguarded, shared),
        }
        for port, wanted in list(runs.values())[:3]:
            load(port, wanted, 1)  # warm
        # The writing guard leaves work for the vacuum: measured after the others, not between them.
        first, second = list(runs)[:3], list(runs)[3:]
        for number, name in [*product(range(ROUNDS), first), *product(range(ROUNDS), second)]:
            port, wanted = runs[name]
            result = load(port, wanted, SECONDS)
            if set(result["codes"]) != {"201"}:
                raise RuntimeError(f"{name}: {result['codes']}")
            console.print(f"  accept, round {number + 1}, {name}: {result}")
            results.setdefault(name, []).append(result)
    rate = {name: median([r["per_second"] for r in each]) for name, each in results.items()}
    p99 = median([r["p99_ms"] for r in results["full"]])

    def ratio(one: str, other: str) -> str:
        pairs = zip(results[one], results[other], strict=True)
        return f"{median([a['per_second'] / b['per_second'] for a, b in pairs]):.2f}"

    made.lines += [
        Line(
            "durable accept, 64 connections",
            f"{rate['full']:,.0f}/s, p99 {p99:.1f} ms",
            f"{rate['no-database']:,.0f}/s without the database",
            ratio("full", "no-database"),
            "≥ 0.60, p99 ≤ 20 ms",
        ),
        Line(
            "mass guard, each text one person's",
            f"{rate['full']:,.0f}/s",
            f"{rate['no-guard']:,.0f}/s without the guard",
            ratio("full", "no-guard"),
        ),
        Line(
            "mass guard, one text to 20,000 (its rows are written)",
            f"{rate['shared']:,.0f}/s",
            f"{rate['no-guard again']:,.0f}/s without the guard",
            ratio("shared", "no-guard again"),
        ),
    ]
