//! A figure over the rounds.

/// Median, smallest and largest.
#[derive(Clone, Copy)]
struct Spread {
    median: f64,
    min: f64,
    max: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        Some(Self { median: *values.get(values.len() / 2)?, min: *values.first()?, max: *values.last()? })
    }

    fn text(self) -> String {
        let digits = match self.median.abs() {
            ..0.1 => 3,
            ..10.0 => 2,
            _ => 0,
        };
        format!("{:.digits$} ({:.digits$}–{:.digits$})", self.median, self.min, self.max)
    }
}

/// As tables have it.
pub fn cell(values: Vec<f64>) -> String {
    Spread::of(values).map_or("–".to_owned(), Spread::text)
}

/// The middle one, if there is any.
pub fn median(values: Vec<f64>) -> Option<f64> {
    Spread::of(values).map(|spread| spread.median)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_figures_have_more_digits() {
        assert_eq!(cell(vec![0.09, 0.05, 0.01]), "0.050 (0.010–0.090)");
        assert_eq!(cell(vec![1.234]), "1.23 (1.23–1.23)");
        assert_eq!(cell(vec![300.4, 100.0]), "300 (100–300)");
        assert_eq!(cell(vec![-0.5]), "-0.50 (-0.50–-0.50)");
        assert_eq!(cell(Vec::new()), "–");
    }
}
