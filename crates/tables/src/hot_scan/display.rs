//! The scan as EXPLAIN shows it: what was pushed down, and what is left to do.

use std::fmt;

use datafusion::physical_plan::{DisplayAs, DisplayFormatType};

use super::{HotScanExec, Part, row_filter};

impl DisplayAs for HotScanExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (separator, items) = match format {
            DisplayFormatType::TreeRender => ("\n", self.items()),
            DisplayFormatType::Default | DisplayFormatType::Verbose => {
                f.write_str("HotScanExec: ")?;
                (", ", self.items())
            }
        };
        for (position, (name, value)) in items.iter().enumerate() {
            if position > 0 {
                f.write_str(separator)?;
            }
            write!(f, "{name}={value}")?;
        }
        Ok(())
    }
}

impl HotScanExec {
    fn items(&self) -> Vec<(&'static str, String)> {
        let columns: Vec<&str> =
            self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let mut items = vec![
            ("table", self.rows.layout.definition().qualified_name()),
            ("columns", format!("[{}]", columns.join(", "))),
            ("access", self.access()),
        ];
        if !self.bounds.is_empty() {
            items.push(("bounds", format!("[{}]", self.bounds.join(", "))));
        }
        let mut filters = |name, filters: &[_]| {
            if !filters.is_empty() {
                items.push((name, format!("[{}]", row_filter::display(filters).join(", "))));
            }
        };
        filters("filters", &self.filters);
        filters("dynamic_filters", &self.dynamic_filters);
        if self.reverse {
            items.push(("reverse", String::from("true")));
        }
        if let Some(fetch) = self.fetch {
            items.push(("fetch", fetch.to_string()));
        }
        if self.rows.include_deleted {
            items.push(("deleted", String::from("true")));
        }
        if let Some(ordering) = self.properties.output_ordering() {
            items.push(("order", format!("[{ordering}]")));
        }
        items
    }

    fn access(&self) -> String {
        match self.parts.as_slice() {
            [Part::Keys(keys)] => format!("keys({})", keys.len()),
            [Part::Ranges(ranges)] if ranges.is_empty() => String::from("nothing"),
            parts => {
                let kind = if self.bounds.is_empty() { "all" } else { "ranges" };
                match parts.len() {
                    1 => String::from(kind),
                    count => format!("{kind}, partitions={count}"),
                }
            }
        }
    }
}
