//! The table: a row an attack, each figure with its ceiling, and what is missed at the end.

use crate::attacks::{Attack, Outcome};
use crate::bystanders::PROBE_PATIENCE;
use crate::pace::Paced;

/// How much longer a get may take than beside requests that are refused at the door.
const SLOWER: f64 = 3.0;
/// Bytes of log a second: for each kind of line one, and one that tells of others; none is longer than a KiB.
const LOG: f64 = 4096.0;

pub struct Row<'a> {
    pub attack: &'a Attack,
    pub outcome: Outcome,
    /// Resident, in MiB.
    pub before: f64,
    pub worst: f64,
    pub after: f64,
    pub gets: Paced,
    pub beside_refusals: Paced,
    /// What the attackers send, a second.
    pub rate: f64,
    /// What the refused attackers send that they are compared with, a second.
    pub refused_rate: f64,
    pub probe_ms: f64,
    pub listener: Option<String>,
    /// Bytes a second.
    pub log_rate: f64,
}

pub fn head() {
    println!(
        "| attack | sent/s | resident MiB: before, worst, 10 s after | sockets past their deadline | log B/s | get ms: p50, \
         p99 | p99 beside refusals, at so many a second | listener | slowest /health/live | besides | missed |"
    );
    println!("|---|--:|---|---|---|---|---|---|---|---|---|");
}

/// The figures of a row that exceed their ceilings.
#[derive(Default)]
struct Missed(Vec<&'static str>);

impl Missed {
    /// A figure with its ceiling.
    fn figure(&mut self, name: &'static str, figure: f64, ceiling: f64, digits: usize) -> String {
        self.is(name, figure > ceiling || figure.is_nan());
        let figure = if figure.is_finite() { format!("{figure:.digits$}") } else { "none".to_owned() };
        format!("{figure} (≤ {ceiling:.digits$})")
    }

    fn is(&mut self, name: &'static str, is_missed: bool) {
        if is_missed {
            self.0.push(name);
        }
    }
}

impl Row<'_> {
    pub fn print(&self) {
        let mut missed = Missed::default();
        let Self { attack, outcome, before, worst, after, gets, beside_refusals, .. } = self;
        let worst = missed.figure("memory", *worst, before + attack.growth_mib, 1);
        let late = outcome.late.map_or_else(String::new, |late| missed.figure("sockets", late as f64, 0.0, 0));
        let log = missed.figure("log", self.log_rate, LOG, 0);
        let [p50, p99] = [0.5, 0.99].map(|part| gets.percentile("get", part));
        let usual = beside_refusals.percentile("get", 0.99);
        let p99 = missed.figure("p99", p99, SLOWER * usual, 1);
        missed.is("gets", gets.failed > 0);
        let failed = if gets.failed > 0 { format!(", {} failed", gets.failed) } else { String::new() };
        missed.is("listener", self.listener.is_some());
        let listener = self.listener.as_deref().unwrap_or("told all");
        let probe = missed.figure("probe", self.probe_ms, PROBE_PATIENCE.as_secs_f64() * 1e3, 0);
        let besides: Vec<String> = outcome
            .besides
            .iter()
            .map(|(what, count)| format!("{what}: {}", missed.figure(what, *count as f64, 0.0, 0)))
            .collect();
        println!(
            "| {}: {} | {:.0} | {before:.1}, {worst}, {after:.1} | {late} | {log} | {p50:.1}, {p99}{failed} | {usual:.1} at {:.0} \
             | {listener} | {probe} | {} | {} |",
            attack.name,
            attack.what,
            self.rate,
            self.refused_rate,
            besides.join("; "),
            if missed.0.is_empty() { String::new() } else { format!("*missed*: {}", missed.0.join(", ")) },
        );
    }
}
