//! Lists of the books as CSV.
//!
//! A cell that begins like a formula gets a quote before it, so that a spreadsheet shows what stands in
//! the books and computes nothing.

/// Rows as CSV (RFC 4180), the first one names the columns.
#[must_use]
pub fn csv(rows: &[Vec<String>]) -> String {
    let mut out = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| cell_text(cell)).collect();
        out.push_str(&cells.join(","));
        out.push_str("\r\n");
    }
    out
}

fn cell_text(cell: &str) -> String {
    let is_number = cell.parse::<i64>().is_ok();
    let mark = match cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number {
        true => "'",
        false => "",
    };
    match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{mark}{}\"", cell.replace('"', "\"\"")),
        false => format!("{mark}{cell}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_numbers_stay_numbers() {
        let rows = [["=1+2", "-500", "a,\"b\"", "-till", "@x"]
            .map(str::to_owned)
            .into()];
        assert_eq!(csv(&rows), "'=1+2,-500,\"a,\"\"b\"\"\",'-till,'@x\r\n");
    }
}
