//! Tables on standard output.

/// A column: of words, aligned to the left, or of numbers, aligned to the right.
#[derive(Debug, Clone, Copy)]
pub enum Column {
    /// Words below this heading.
    Words(&'static str),
    /// Numbers below this heading.
    Numbers(&'static str),
}

impl Column {
    const fn heading(self) -> &'static str {
        match self {
            Self::Words(heading) | Self::Numbers(heading) => heading,
        }
    }

    fn pad(self, cell: &str, width: usize) -> String {
        match self {
            Self::Words(_) => format!("{cell:<width$}"),
            Self::Numbers(_) => format!("{cell:>width$}"),
        }
    }
}

/// Prints rows of as many cells as there are columns.
#[allow(clippy::print_stdout, reason = "a table is what a run is for")]
pub fn print(columns: &[Column], rows: &[Vec<String>]) {
    for line in lines(columns, rows) {
        println!("{line}");
    }
}

fn lines(columns: &[Column], rows: &[Vec<String>]) -> Vec<String> {
    let headings: Vec<String> = columns.iter().map(|column| column.heading().to_owned()).collect();
    let all: Vec<&Vec<String>> = std::iter::once(&headings).chain(rows).collect();
    let width = |index: usize| all.iter().map(|row| row[index].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(columns).zip(&widths);
        let padded: Vec<String> = cells.map(|((cell, column), width)| column.pad(cell, *width)).collect();
        padded.join("  ").trim_end().to_owned()
    };
    all.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_aligned_to_the_left_and_numbers_to_the_right() {
        let columns = [Column::Words("what"), Column::Numbers("rate")];
        let rows = [vec!["an append".to_owned(), "5".to_owned()], vec!["x".to_owned(), "10000".to_owned()]];
        assert_eq!(lines(&columns, &rows), ["what        rate", "an append      5", "x          10000"]);
    }
}
