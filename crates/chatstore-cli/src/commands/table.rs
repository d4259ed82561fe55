//! Tables for human readers.

use super::print;
use crate::escape::visible;

/// Prints rows below their headings, every column as wide as its widest cell.
pub(super) fn print_table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) {
    let rows: Vec<[String; N]> =
        rows.iter().map(|row| row.each_ref().map(|cell| visible(cell, |_| false).into_owned())).collect();
    let mut widths = headings.map(|heading| heading.chars().count());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    print_row(&headings.map(str::to_owned), &widths);
    for row in &rows {
        print_row(row, &widths);
    }
}

fn print_row(cells: &[String], widths: &[usize]) {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        line.push_str(&format!("{cell:<width$}  "));
    }
    print(line.trim_end());
}
