//! Figures that were measured several times.

/// The middle one, and how far the others are from it.
#[derive(Debug, Clone, Copy)]
pub struct Spread {
    pub least: f64,
    pub median: f64,
    pub most: f64,
}

impl Spread {
    /// Of at least one figure; without any, it is of none.
    pub fn of(figures: &[f64]) -> Self {
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |place: usize| sorted.get(place).copied().unwrap_or(f64::NAN);
        let last = sorted.len().saturating_sub(1);
        // Of an even number there are two in the middle.
        let median = (at(last / 2) + at(sorted.len() / 2)) / 2.0;
        Self { least: at(0), median, most: at(last) }
    }
}

pub fn median(figures: &[f64]) -> f64 {
    Spread::of(figures).median
}
