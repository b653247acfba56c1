//! HTML under construction: what was not written in this program's source is escaped, always.

use std::fmt::Write;

/// A piece of a page.
#[derive(Default)]
pub(super) struct Markup(String);

impl Markup {
    /// Markup of this program itself.
    pub(super) fn raw(&mut self, html: &'static str) -> &mut Self {
        self.0.push_str(html);
        self
    }

    /// Text, or the value of a quoted attribute, from anywhere.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                // Not allowed in HTML in any form.
                '\0' => self.0.push(char::REPLACEMENT_CHARACTER),
                c => self.0.push(c),
            }
        }
        self
    }

    /// A length or place, to the hundredth.
    pub(super) fn number(&mut self, number: f64) -> &mut Self {
        // Writing into a string does not fail. Adding zero makes -0 a plain 0.
        let _written = write!(self.0, "{}", (number * 100.0).round() / 100.0 + 0.0);
        self
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup_nor_leave_its_attribute() {
        let mut markup = Markup::default();
        markup.raw("<b title=\"").text("\" onload='x'").raw("\">").text("</b>&\0");
        let expected = "<b title=\"&quot; onload=&#39;x&#39;\">&lt;/b&gt;&amp;\u{fffd}";
        assert_eq!(markup.into_string(), expected);
    }

    #[test]
    fn numbers_are_short() {
        let mut markup = Markup::default();
        markup.number(1.0 / 3.0).raw(" ").number(1000.0).raw(" ").number(-0.001);
        assert_eq!(markup.into_string(), "0.33 1000 0");
    }
}
