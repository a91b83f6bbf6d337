//! Tables for people, in Markdown that lines up in a terminal, too.

/// What a figure has to reach, and whether it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    text: String,
    met: bool,
}

impl Budget {
    /// Any budget: how it reads, and whether it is met.
    pub fn new(text: impl Into<String>, met: bool) -> Self {
        Self { text: text.into(), met }
    }

    /// A ratio that may not be lower.
    pub fn at_least(limit: f64, ratio: f64) -> Self {
        Self::new(format!("≥ {limit} ×"), ratio >= limit)
    }

    /// A ratio that may not be higher.
    pub fn at_most(limit: f64, ratio: f64) -> Self {
        Self::new(format!("≤ {limit} ×"), ratio <= limit)
    }

    fn cell(&self) -> String {
        format!("{}: {}", self.text, if self.met { "met" } else { "**not met**" })
    }
}

/// A section of the page: a heading, and a table whose last column holds the budgets. What it measures and how stands
/// on the page itself.
#[derive(Debug, Clone)]
pub struct Table {
    title: &'static str,
    /// What else there is to say of this run.
    pub note: String,
    heads: Vec<String>,
    rows: Vec<(Vec<String>, Option<Budget>)>,
}

impl Table {
    /// One without rows.
    pub fn new<H: Into<String>>(title: &'static str, heads: impl IntoIterator<Item = H>) -> Self {
        let heads = heads.into_iter().map(Into::into).collect();
        Self { title, note: String::new(), heads, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>, budget: Option<Budget>) {
        self.rows.push((cells, budget));
    }

    /// How many budgets are missed.
    pub fn missed(&self) -> usize {
        self.rows.iter().filter(|(_, budget)| budget.as_ref().is_some_and(|budget| !budget.met)).count()
    }

    /// The section as it stands on the page: in the table, the first column is text; the others are figures, except the last.
    pub fn markdown(&self) -> String {
        let heads: Vec<String> = self.heads.iter().cloned().chain(["budget".to_owned()]).collect();
        let rows: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|(cells, budget)| {
                let budget = budget.as_ref().map(Budget::cell).unwrap_or_default();
                cells.iter().cloned().chain([budget]).collect()
            })
            .collect();
        let width = |at: usize| {
            let cells = rows.iter().chain([&heads]).filter_map(|row| row.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default().max(2)
        };
        let widths: Vec<usize> = (0..heads.len()).map(width).collect();
        let is_figure = |at: usize| at > 0 && at + 1 < heads.len();
        let line = |cells: &[String]| {
            let cells = cells.iter().zip(&widths).enumerate().map(|(at, (cell, width))| {
                if is_figure(at) { format!(" {cell:>width$} |") } else { format!(" {cell:width$} |") }
            });
            format!("|{}\n", cells.collect::<String>())
        };
        let rule = widths.iter().enumerate().map(|(at, width)| {
            let dashes = "-".repeat(*width);
            if is_figure(at) { format!("-{dashes}:|") } else { format!("-{dashes}-|") }
        });
        let rule = format!("|{}\n", rule.collect::<String>());
        let body: String = rows.iter().map(|row| line(row)).collect();
        let note = if self.note.is_empty() { String::new() } else { format!("{}\n\n", self.note.trim()) };
        format!("### {}\n\n{note}{}{rule}{body}", self.title, line(&heads))
    }
}

#[cfg(test)]
mod tests {
    use super::{Budget, Table};

    fn table() -> Table {
        let mut table = Table::new("Events", ["what", "ratio"]);
        table.row(vec!["insert".into(), "1".into()], None);
        table.row(vec!["500 events".into(), "25 ×".into()], Some(Budget::at_least(20.0, 25.0)));
        table.row(vec!["message".into(), "0.6 ×".into()], Some(Budget::at_least(0.7, 0.6)));
        table
    }

    #[test]
    fn figures_stand_to_the_right_and_a_missed_budget_stands_out() {
        let lines = [
            "| what       | ratio | budget             |",
            "|------------|------:|--------------------|",
            "| insert     |     1 |                    |",
            "| 500 events |  25 × | ≥ 20 ×: met        |",
            "| message    | 0.6 × | ≥ 0.7 ×: **not met** |",
        ];
        let markdown = table().markdown();
        let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").replace('-', "");
        assert!(markdown.starts_with("### Events\n\n| what "), "{markdown}");
        for (line, wanted) in markdown.lines().skip(2).zip(lines) {
            assert_eq!(squeezed(line), squeezed(wanted));
        }
        let widths: Vec<usize> = markdown.lines().skip(2).map(|line| line.chars().count()).collect();
        assert!(widths.iter().all(|width| *width == widths[0]), "{markdown}");
    }

    #[test]
    fn what_is_missed_is_counted_and_exactly_the_budget_is_met() {
        assert_eq!(table().missed(), 1);
        assert_eq!(Budget::at_least(20.0, 20.0), Budget::new("≥ 20 ×", true));
        assert_eq!(Budget::at_most(1.4, 1.5), Budget::new("≤ 1.4 ×", false));
    }
}
