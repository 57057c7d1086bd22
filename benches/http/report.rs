//! What was measured, as Markdown.

use crate::alone::Alone;
use crate::goals;
use crate::half::Half;
use crate::measure::Cell;
use crate::operation::Operation;
use crate::setup::Setup;
use crate::spread::{Spread, median};

/// All that was measured with so many rooms.
pub struct Size {
    pub rooms: i64,
    pub cells: Vec<Cell>,
    pub alone: Vec<Alone>,
    pub half: Vec<Half>,
    /// Of the service, in KiB.
    pub resident_idle: u64,
    pub resident_after: u64,
}

impl Size {
    /// Of what is measured nothing yet.
    pub fn new(setup: &Setup) -> Self {
        let (rooms, resident_idle) = (setup.rooms.count, setup.idle);
        Self { rooms, cells: Vec::new(), alone: Vec::new(), half: Vec::new(), resident_idle, resident_after: 0 }
    }

    /// The sections of one number of rooms.
    pub fn sections(&self) -> String {
        let mut connections: Vec<usize> = self.cells.iter().map(|cell| cell.connections).collect();
        connections.sort_unstable();
        connections.dedup();
        let tables = connections.iter().map(|connections| self.table(*connections));
        let rest = [self.alone(), self.half(), self.memory()];
        let all: Vec<String> = tables.chain(rest).filter(|section| !section.is_empty()).collect();
        format!("## {} rooms\n\n{}", thousands(self.rooms as f64), all.join("\n"))
    }

    fn table(&self, connections: usize) -> String {
        let cells: Vec<&Cell> = self.cells.iter().filter(|cell| cell.connections == connections).collect();
        let head =
            ["Operation", "Service", "pgbench", "Ratio", "Goal", "p50 ms", "p99 ms", "CPU service", "CPU Postgres"];
        let rows = cells.iter().map(|cell| {
            let goal = goals::ratio(cell.operation, connections);
            vec![
                cell.operation.name().to_owned(),
                spread(cell.service),
                spread(cell.pgbench),
                format!("{:.2}", cell.ratio()),
                goal.map_or_else(String::new, |goal| format!("{goal}: {}", goals::at_least(cell.ratio(), goal))),
                format!("{:.2}", cell.p50 / 1_000.0),
                format!("{:.2}", cell.p99 / 1_000.0),
                format!("{:.0}", cell.service_cpu),
                format!("{:.0}", cell.postgres_cpu),
            ]
        });
        let client = median(&cells.iter().map(|cell| cell.client_cpu).collect::<Vec<_>>());
        format!(
            "### {connections} connections\n\n{}\nWho asks takes {client:.0} µs of CPU for a request, of the same cores.\n",
            table(&head, rows)
        )
    }

    fn alone(&self) -> String {
        let rows = self.alone.iter().map(|alone| {
            let more = alone.service - alone.pgbench;
            vec![
                alone.operation.name().to_owned(),
                format!("{:.0}", alone.service),
                format!("{:.0}", alone.pgbench),
                format!("{more:.0}"),
                format!("{}: {}", goals::ALONE, goals::at_most(more, goals::ALONE)),
            ]
        });
        section("A request alone: p50 in µs", &["Operation", "Service", "pgbench", "Difference", "Goal"], rows)
    }

    fn half(&self) -> String {
        let rows = self.half.iter().map(|half| {
            vec![
                half.operation.name().to_owned(),
                half.connections.to_string(),
                thousands(half.per_second),
                format!("{:.2}", half.p50 / 1_000.0),
                format!("{:.2}", half.p99 / 1_000.0),
            ]
        });
        section("At half of the rate", &["Operation", "Connections", "Sent a second", "p50 ms", "p99 ms"], rows)
    }

    fn memory(&self) -> String {
        let rows = [("idle", self.resident_idle), ("after the load", self.resident_after)].map(|(when, kib)| {
            let mib = kib as f64 / 1_024.0;
            let goal = format!("{}: {}", goals::RESIDENT, goals::at_most(mib, goals::RESIDENT));
            vec![when.to_owned(), format!("{mib:.1}"), goal]
        });
        section("Resident memory of the service", &["When", "MiB", "Goal"], rows)
    }

    fn cell(&self, operation: Operation, connections: usize) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.operation == operation && cell.connections == connections)
    }
}

const GROWTH: &str = "A request grows by how many fewer are answered, or by how much longer the median is; the more of both \
                      counts.";

/// What the larger numbers of rooms do beside the smallest.
pub fn growth(sizes: &[Size]) -> String {
    let Some((first, larger)) = sizes.split_first() else { return String::new() };
    let head = ["Operation", "Connections", "Rooms", "Requests a second", "p50 ms", "Grows by", "Goal", "pgbench by"];
    let rows = larger.iter().flat_map(|size| {
        size.cells.iter().filter(|cell| goals::FLAT.contains(&cell.operation)).filter_map(|cell| {
            let small = first.cell(cell.operation, cell.connections)?;
            let change = |of: &dyn Fn(&Cell) -> String| format!("{} → {}", of(small), of(cell));
            let growth = (small.service.median / cell.service.median).max(cell.p50 / small.p50);
            Some(vec![
                cell.operation.name().to_owned(),
                cell.connections.to_string(),
                format!("{} → {}", thousands(first.rooms as f64), thousands(size.rooms as f64)),
                change(&|cell| thousands(cell.service.median)),
                change(&|cell| format!("{:.2}", cell.p50 / 1_000.0)),
                format!("× {growth:.2}"),
                format!("× {}: {}", goals::GROWTH, goals::at_most(growth, goals::GROWTH)),
                format!("× {:.2}", small.pgbench.median / cell.pgbench.median),
            ])
        })
    });
    let rows: Vec<Vec<String>> = rows.collect();
    if rows.is_empty() { String::new() } else { format!("## Growth\n\n{GROWTH}\n\n{}", table(&head, rows)) }
}

fn section(title: &str, head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let rows: Vec<Vec<String>> = rows.into_iter().collect();
    if rows.is_empty() { String::new() } else { format!("### {title}\n\n{}", table(head, rows)) }
}

/// Figures stand at the right.
fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let rule: Vec<String> =
        head.iter().enumerate().map(|(at, _)| if at == 0 { "---" } else { "---:" }.to_owned()).collect();
    [head, rule].into_iter().chain(rows).map(|cells| line(&cells)).collect()
}

fn spread(spread: Spread) -> String {
    format!("{} ({}–{})", thousands(spread.median), thousands(spread.least), thousands(spread.most))
}

/// A whole number with commas.
fn thousands(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
