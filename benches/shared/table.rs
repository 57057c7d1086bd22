//! The table that a bench prints: rows with a ceiling, and a word behind what is beyond it.

pub fn head() {
    println!("{:<74} ceiling", "");
}

pub fn row(what: &str, figure: f64, unit: &str, ceiling: Option<f64>) {
    let is_missed = ceiling.is_some_and(|ceiling| figure > ceiling);
    let ceiling = ceiling.map_or_else(String::new, |ceiling| format!("{ceiling} {unit}"));
    println!("{what:<60} {figure:>8.2} {unit:<4} {ceiling}{}", if is_missed { ", missed" } else { "" });
}

/// How long something took, each time.
#[derive(Default)]
pub struct Delays(pub Vec<f64>);

impl Delays {
    /// Prints a row for the median, for what one in a hundred goes beyond, which has the ceiling, and for the longest.
    pub fn print(&mut self, what: &str, unit: &str, ceiling: Option<f64>) {
        self.0.sort_by(f64::total_cmp);
        let at = |part: f64| self.0[((self.0.len() - 1) as f64 * part) as usize];
        row(&format!("{what}, p50"), at(0.5), unit, None);
        row("    p99", at(0.99), unit, ceiling);
        row("    the longest", at(1.0), unit, None);
    }
}
