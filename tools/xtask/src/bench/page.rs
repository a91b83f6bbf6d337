//! The figures' places in docs/benchmarks.md.

use devstack::{
    checkout::Checkout,
    error::{Error, Result},
};
use fs_err as fs;

/// Where the figures are kept.
pub const PAGE: &str = "docs/benchmarks.md";
/// The place of what `cargo xtask bench` measures.
pub const FIGURES: Place = Place { name: "figures", command: "cargo xtask bench" };
/// The place of what `cargo xtask bench --soak` measures.
pub const SOAK: Place = Place { name: "soak", command: "cargo xtask bench --soak 60" };

/// A place on the page.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    name: &'static str,
    command: &'static str,
}

impl Place {
    /// Puts figures in the place of those that are there.
    pub fn write(self, checkout: &Checkout, figures: &str) -> Result<()> {
        let path = checkout.path(PAGE);
        let page = fs::read_to_string(&path)?;
        let page = self.spliced(&page, figures).ok_or_else(|| {
            let [begin, end] = self.marks();
            Error::new(format!("{PAGE} has no place for them")).cure(format!("put these two lines in:\n{begin}\n{end}"))
        })?;
        Ok(fs::write(&path, page)?)
    }

    fn marks(self) -> [String; 2] {
        [format!("<!-- {}: written by `{}` -->", self.name, self.command), format!("<!-- end of {} -->", self.name)]
    }

    /// The page with other figures between the two marks; all else stays as it is.
    fn spliced(self, page: &str, figures: &str) -> Option<String> {
        let [begin, end] = self.marks();
        let (before, rest) = page.split_once(&begin)?;
        let (_, after) = rest.split_once(&end)?;
        Some(format!("{before}{begin}\n\n{}\n\n{end}{after}", figures.trim()))
    }
}

#[cfg(test)]
mod tests {
    use super::{FIGURES, PAGE, SOAK};
    use devstack::checkout::Checkout;

    #[test]
    fn only_what_stands_between_the_marks_changes() {
        let [begin, end] = FIGURES.marks();
        let page = format!("# A\n\n{begin}\nold\n{end}\n\nB\n");
        let first = FIGURES.spliced(&page, "new\n").unwrap();
        assert_eq!(first, format!("# A\n\n{begin}\n\nnew\n\n{end}\n\nB\n"));
        assert_eq!(FIGURES.spliced(&first, "new\n").as_ref(), Some(&first));
        // A page without both marks is left alone.
        assert_eq!(FIGURES.spliced(&format!("{end}\n{begin}\n"), "new"), None);
        assert_eq!(SOAK.spliced(&page, "new"), None);
    }

    #[test]
    fn the_page_has_both_places() {
        let page = std::fs::read_to_string(Checkout::here().unwrap().path(PAGE)).unwrap();
        assert!(FIGURES.spliced(&page, "").is_some() && SOAK.spliced(&page, "").is_some());
    }
}
