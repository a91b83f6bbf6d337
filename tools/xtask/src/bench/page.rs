//! The figures' place in docs/benchmarks.md.

use std::fs;

use devstack::{
    checkout::Checkout,
    error::{Context as _, Error, Result},
};

/// Where the figures are kept.
pub const PAGE: &str = "docs/benchmarks.md";
const BEGIN: &str = "<!-- figures: written by `cargo xtask bench` -->";
const END: &str = "<!-- end of figures -->";

/// Puts figures in the place of those that are there.
pub fn write(checkout: &Checkout, figures: &str) -> Result<()> {
    let path = checkout.path(PAGE);
    let page = fs::read_to_string(&path).context(|| format!("{PAGE} cannot be read"))?;
    let page = spliced(&page, figures).ok_or_else(|| {
        Error::new(format!("{PAGE} has no place for figures")).cure(format!("put these two lines in:\n{BEGIN}\n{END}"))
    })?;
    fs::write(&path, page).context(|| format!("{PAGE} cannot be written"))
}

/// The page with other figures between its two marks; all else stays as it is.
fn spliced(page: &str, figures: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", figures.trim()))
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, END, PAGE, spliced};
    use devstack::checkout::Checkout;

    #[test]
    fn only_what_stands_between_the_marks_changes() {
        let page = format!("# A\n\n{BEGIN}\nold\n{END}\n\nB\n");
        let first = spliced(&page, "new\n").unwrap();
        assert_eq!(first, format!("# A\n\n{BEGIN}\n\nnew\n\n{END}\n\nB\n"));
        assert_eq!(spliced(&first, "new\n").as_ref(), Some(&first));
    }

    #[test]
    fn a_page_without_both_marks_is_left_alone() {
        assert_eq!(spliced("# A\n", "new"), None);
        assert_eq!(spliced(&format!("{END}\n{BEGIN}\n"), "new"), None);
    }

    #[test]
    fn the_page_has_its_place() {
        let page = std::fs::read_to_string(Checkout::here().unwrap().path(PAGE)).unwrap();
        assert!(spliced(&page, "").is_some());
    }
}
