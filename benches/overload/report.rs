//! The table: a row a load, each figure with its goal.

use crate::load::{Outcome, percentile};

/// The fraction of the reachable goodput that is required.
const GOODPUT: f64 = 0.8;
/// Of a refusal, in milliseconds.
const REFUSAL_MS: f64 = 20.0;

pub struct Ceilings {
    /// Of an answer, in milliseconds.
    pub p99: Option<f64>,
    /// In MiB.
    pub memory: f64,
    /// The part of the core that a refusal takes at least, in seconds, where the processor is the bound.
    pub price: Option<f64>,
}

pub struct Row<'a> {
    pub what: &'a str,
    /// The offered load as a multiple of the capacity.
    pub times: f64,
    pub outcome: Outcome,
    pub resident: f64,
    /// Of the little load that follows after a second.
    pub after: Outcome,
    pub peak: f64,
    pub ceilings: &'a Ceilings,
}

pub fn head() {
    println!(
        "| load | offered/s | answered/s (goal) | answers ms: p50, p99 | refused/s | refusals ms: p99 | resident MiB | \
         1 s after: refused, p99 ms | missed |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|---|");
}

impl Row<'_> {
    pub fn print(&self) {
        let Self { what, times, outcome, resident, after, peak, ceilings } = self;
        let mut missed = Vec::new();
        let refused = (outcome.offered - outcome.goodput).max(0.0);
        let left = 1.0 - ceilings.price.map_or(0.0, |price| refused * price);
        let goal = GOODPUT * outcome.offered.min(peak * left);
        let mut judge = |name: &'static str, is_missed: bool| {
            if is_missed {
                missed.push(name);
            }
        };
        judge("goodput", outcome.goodput < goal);
        let p99 = percentile(&outcome.answered, 0.99);
        judge("p99", ceilings.p99.is_some_and(|ceiling| p99.is_none_or(|p99| p99 > ceiling)));
        let refusals = percentile(&outcome.refused, 0.99);
        judge("refusals", refusals.is_some_and(|p99| p99 > REFUSAL_MS));
        judge("memory", *resident > ceilings.memory);
        judge("failed", outcome.failed + after.failed > 0);
        judge("after", !after.refused.is_empty());
        let ms = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.0}"));
        let ceiling = ceilings.p99.map_or_else(String::new, |ceiling| format!(" (≤ {ceiling:.0})"));
        let failure = outcome.failure.as_deref().or(after.failure.as_deref()).unwrap_or_default();
        println!(
            "| {what}, {times} times | {:.0} | {:.0} (≥ {goal:.0}) | {}, {}{ceiling} | {:.0} | {} (≤ {REFUSAL_MS}) | \
             {resident:.0} (≤ {:.0}) | {}, {} | {}{} |",
            outcome.offered,
            outcome.goodput,
            ms(percentile(&outcome.answered, 0.5)),
            ms(p99),
            refused,
            ms(refusals),
            ceilings.memory,
            after.refused.len(),
            ms(percentile(&after.answered, 0.99)),
            if missed.is_empty() { String::new() } else { format!("*missed*: {}", missed.join(", ")) },
            if failure.is_empty() {
                String::new()
            } else {
                format!(": {}", failure.lines().next().unwrap_or_default())
            },
        );
    }
}
