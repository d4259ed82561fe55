//! Tables for human readers.

use super::print;

/// Prints rows below their headings, every column as wide as its widest cell.
pub(super) fn print_table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) {
    let rows: Vec<[String; N]> = rows.iter().map(|row| row.each_ref().map(|cell| visible(cell))).collect();
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

/// Control characters would let a stored text move the terminal's cursor.
fn visible(cell: &str) -> String {
    let mut shown = String::with_capacity(cell.len());
    for character in cell.chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn a_cell_cannot_steer_the_terminal() {
        assert_eq!(visible("a\u{1b}[2J\nü"), "a\\u{1b}[2J\\nü");
    }
}
