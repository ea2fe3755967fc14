//! Horizontal bars as SVG, one group a row, each group to its own scale; readable on light and dark pages.

use std::fmt::Write as _;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 110.0;
const RIGHT: f64 = 90.0;
const BAR: f64 = 16.0;
const GAP: f64 = 4.0;
const TITLE: f64 = 26.0;

/// One bar.
pub struct Bar<'a> {
    /// What stands before it.
    pub name: &'a str,
    /// Its length, and the number behind it.
    pub value: f64,
}

/// Draws the groups below each other.
pub fn svg(groups: &[(String, Vec<Bar<'_>>)]) -> String {
    let height: f64 = groups.iter().map(|(_, bars)| TITLE + bars.len() as f64 * (BAR + GAP) + 10.0).sum::<f64>() + 10.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    let mut y = 10.0;
    for (title, bars) in groups {
        let _ = writeln!(svg, "<text x=\"10\" y=\"{:.0}\" font-weight=\"bold\">{}</text>", y + 14.0, escaped(title));
        y += TITLE;
        let longest = bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
        for bar in bars {
            let length = (WIDTH - LEFT - RIGHT) * bar.value.max(0.0) / longest;
            let _ = writeln!(
                svg,
                "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text><rect x=\"{LEFT}\" y=\"{y:.0}\" width=\"{length:.1}\" \
                 height=\"{BAR}\" fill=\"{}\"/><text x=\"{:.1}\" y=\"{:.0}\">{}</text>",
                LEFT - 8.0,
                y + 12.0,
                escaped(bar.name),
                colour(bar.name),
                LEFT + length + 6.0,
                y + 12.0,
                number(bar.value),
            );
            y += BAR + GAP;
        }
        y += 10.0;
    }
    svg.push_str("</svg>\n");
    svg
}

fn colour(name: &str) -> &'static str {
    match name {
        "Ottla" => "#d9480f",
        "floor" => "#adb5bd",
        _ => "#495057",
    }
}

fn number(value: f64) -> String {
    match value.abs() {
        ..1.0 => format!("{value:.2}"),
        ..10.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_fills_the_width_and_names_are_escaped() {
        let text =
            svg(&[("a < b".to_owned(), vec![Bar { name: "Ottla", value: 2.0 }, Bar { name: "Kafka", value: 8.0 }])]);
        assert!(text.contains("a &lt; b"), "{text}");
        assert!(text.contains("width=\"660.0\"") && text.contains("width=\"165.0\""), "{text}");
    }
}
