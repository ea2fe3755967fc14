//! A partition as a drawing: its segments along its offsets, what of it is compacted, and where its marks are.
//!
//! ```text
//!   0                                                 2417
//!   ├───────────────┬───────────────┬────────────────────┤   3 segments
//!   ████████████████████████░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░   compacted, dirty
//!   ▲ log start 0
//!                           ▲ compacted up to 1100
//!                                                        ▲ high watermark, recovery point, end 2417
//! ```

use std::collections::BTreeMap;

use ottla_storage::inspect::PartitionSummary;

/// Columns of the drawing.
const WIDTH: usize = 64;
/// What stands before each line.
const INDENT: &str = "  ";

/// Draws a partition.
pub(super) fn draw(s: &PartitionSummary) -> String {
    let scale = Scale { first: s.segments.first().map_or(0, |s| s.files.base_offset), end: s.end_offset() };
    let mut lines = vec![scale.ends(), scale.segments(s)];
    lines.extend(s.checkpoints.clean_until.map(|clean| scale.compacted(clean)));
    lines.extend(scale.marks(s));
    lines.iter().map(|line| format!("{INDENT}{}\n", line.trim_end())).collect()
}

/// Offsets to columns.
struct Scale {
    first: i64,
    end: i64,
}

impl Scale {
    fn column(&self, offset: i64) -> usize {
        let span = i128::from(self.end) - i128::from(self.first);
        let at = (i128::from(offset) - i128::from(self.first)).clamp(0, span.max(0));
        let column = if span > 0 { at * (WIDTH as i128 - 1) / span } else { 0 };
        usize::try_from(column).unwrap_or(0)
    }

    fn ends(&self) -> String {
        let (first, end) = (self.first.to_string(), self.end.to_string());
        let gap = WIDTH.saturating_sub(first.len()).max(end.len() + 1);
        format!("{first}{end:>gap$}")
    }

    fn segments(&self, s: &PartitionSummary) -> String {
        let mut line = vec!['─'; WIDTH];
        for segment in s.segments.iter().skip(1) {
            line[self.column(segment.files.base_offset)] = '┬';
        }
        (line[0], line[WIDTH - 1]) = ('├', '┤');
        let segments = if s.segments.len() == 1 { "segment" } else { "segments" };
        format!("{}   {} {segments}", line.into_iter().collect::<String>(), s.segments.len())
    }

    fn compacted(&self, clean: i64) -> String {
        let border = if clean >= self.end { WIDTH } else { self.column(clean) };
        format!("{}{}   compacted, dirty", "█".repeat(border), "░".repeat(WIDTH - border))
    }

    /// One line for each place, with everything that is there.
    fn marks(&self, s: &PartitionSummary) -> Vec<String> {
        let c = &s.checkpoints;
        let marks = [
            ("log start", Some(s.start_offset())),
            ("compacted up to", c.clean_until),
            ("recovery point", c.recovery_point),
            ("high watermark", c.high_watermark),
            ("end", Some(self.end)),
        ];
        let mut by_offset: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
        for (name, offset) in marks {
            if let Some(offset) = offset {
                by_offset.entry(offset).or_default().push(name);
            }
        }
        let line = |(offset, names): (i64, Vec<&str>)| {
            format!("{:>width$} {} {offset}", "▲", names.join(", "), width = self.column(offset) + 1)
        };
        by_offset.into_iter().map(line).collect()
    }
}
