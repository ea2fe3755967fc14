//! Columns aligned for people: a bold head, two spaces between columns, numbers to the right.

/// A table, perhaps with a title.
#[derive(Debug, Default)]
pub(crate) struct Table {
    title: Option<String>,
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns.
    pub(crate) fn new(head: &[&'static str]) -> Self {
        Self { title: None, head: head.to_vec(), rows: Vec::new() }
    }

    /// Sets a line above it.
    pub(crate) fn titled(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// As text, the head bold if `colours`.
    pub(crate) fn render(&self, colours: bool) -> String {
        let (bold, plain) = if colours { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        let mut text = String::new();
        if let Some(title) = &self.title {
            text.push_str(&format!("{bold}{title}{plain}\n"));
        }
        if self.head.is_empty() {
            return text;
        }
        let columns: Vec<Column> = (0..self.head.len()).map(|i| self.column(i)).collect();
        let head: Vec<String> = self.head.iter().map(|h| (*h).to_owned()).collect();
        text.push_str(&format!("{bold}{}{plain}\n", line(&head, &columns)));
        for row in &self.rows {
            text.push_str(&line(row, &columns));
            text.push('\n');
        }
        text
    }

    fn column(&self, at: usize) -> Column {
        let cells = || self.rows.iter().filter_map(|r| r.get(at));
        let head = self.head.get(at).map_or(0, |h| h.len());
        let number = |cell: &String| cell == "-" || cell.parse::<f64>().is_ok();
        Column {
            width: cells().map(|c| c.chars().count()).max().unwrap_or(0).max(head),
            right: self.rows.iter().any(|r| r.get(at).is_some_and(|c| c != "-")) && cells().all(number),
        }
    }
}

struct Column {
    width: usize,
    right: bool,
}

fn line(cells: &[String], columns: &[Column]) -> String {
    let padded = cells.iter().zip(columns).map(|(cell, column)| match column.right {
        true => format!("{cell:>width$}", width = column.width),
        false => format!("{cell:<width$}", width = column.width),
    });
    padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_numbers_stand_to_the_right() {
        let mut table = Table::new(&["TOPIC", "LAG", "MEMBER"]).titled("group g");
        table.row(["orders".into(), "7".into(), "a".into()]);
        table.row(["o".into(), "12345".into(), "-".into()]);
        assert_eq!(table.render(false), "group g\nTOPIC     LAG  MEMBER\norders      7  a\no       12345  -\n");
        assert!(table.render(true).starts_with("\x1b[1mgroup g\x1b[0m\n"));
    }
}
