//! What an expression may be, decided before it runs: its size and its names.

use cel::IdedExpr;
use cel::common::ast::{EntryExpr, Expr};

use super::variables::NAMES;
use super::{EXPRESSION_NESTING_MAX, EXPRESSION_WORDS_MAX};

/// Functions an expression can call, beside operators.
const FUNCTIONS: [&str; 13] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "string",
    "int",
    "uint",
    "double",
    "bool",
    "bytes",
    "type",
    "dyn",
];

/// Whether an expression looks at `meta`, which then has to be parsed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum MetaUse {
    Read,
    #[default]
    Ignored,
}

/// Refuses an expression of too many words or brackets in brackets: its tree is then never built.
pub(super) fn measure(source: &str) -> Result<(), String> {
    let (mut count, mut nesting, mut nesting_most) = (0, 0_usize, 0);
    for (_, word) in words(source) {
        match word {
            b"(" | b"[" | b"{" => nesting += 1,
            b")" | b"]" | b"}" => nesting = nesting.saturating_sub(1),
            _ => {}
        }
        nesting_most = nesting_most.max(nesting);
        count += 1;
    }
    if nesting_most > EXPRESSION_NESTING_MAX {
        return Err(format!(
            "expected brackets nested at most {EXPRESSION_NESTING_MAX} deep, got {nesting_most}"
        ));
    }
    if count > EXPRESSION_WORDS_MAX {
        return Err(format!(
            "expected at most {EXPRESSION_WORDS_MAX} names, numbers, texts and signs, got {count}"
        ));
    }
    Ok(())
}

/// Names, numbers, texts, signs and comments, each with the byte it begins at.
fn words(source: &str) -> impl Iterator<Item = (usize, &[u8])> {
    let source = source.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        // What the parser takes for white space (CEL's grammar, WHITESPACE).
        let is_space = |byte: &&u8| b" \t\r\n\x0B\x0C".contains(byte);
        at += source[at..].iter().take_while(is_space).count();
        let rest = &source[at..];
        let len = match rest.first()? {
            b'/' if rest.starts_with(b"//") => memchr::memchr(b'\n', rest).unwrap_or(rest.len()),
            b'"' | b'\'' => text_len(rest, Escapes::Count),
            byte if is_word(*byte) => word_len(rest),
            _ => 1,
        };
        let word = (at, &rest[..len]);
        at += len;
        Some(word)
    })
}

/// Line and column of the name of a macro, counted from 0 as they are written.
pub(super) fn macro_place(source: &str, number: usize) -> (usize, usize) {
    let all: Vec<_> = words(source).filter(|(_, word)| !word.starts_with(b"//")).collect();
    let is_macro = |name: &[u8]| MACROS.iter().any(|known| known.as_bytes() == name);
    let mut places = all.windows(3).filter_map(|three| match three {
        [(_, b"."), (at, name), (_, b"(")] if is_macro(name) => Some(*at),
        _ => None,
    });
    // Where it is only helps a person: the whole is as good when it is not found.
    line_and_column(source, places.nth(number).unwrap_or_default())
}

/// The macros that walk a list, as cel 0.15 knows them; `existsOne` is another name of `exists_one`.
const MACROS: [&str; 6] = ["all", "exists", "exists_one", "existsOne", "map", "filter"];

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// Length of a name or a number, with the text behind it when it says how that is written: `r"…"`.
fn word_len(source: &[u8]) -> usize {
    let len = source.iter().position(|byte| !is_word(*byte)).unwrap_or(source.len());
    let (word, rest) = source.split_at(len);
    let is_prefix = matches!(word.to_ascii_lowercase().as_slice(), b"r" | b"b" | b"rb" | b"br");
    if !is_prefix || !matches!(rest.first(), Some(b'"' | b'\'')) {
        return len;
    }
    let is_raw = word.iter().any(|byte| byte.eq_ignore_ascii_case(&b'r'));
    len + text_len(rest, if is_raw { Escapes::Ignored } else { Escapes::Count })
}

/// Whether a backslash takes the next character's meaning.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    Count,
    Ignored,
}

/// Length of the text that starts here, with its quotes. One that does not end is one line, or
/// everything if it has three quotes.
fn text_len(source: &[u8], escapes: Escapes) -> usize {
    let quote = source[0];
    let is_long = source.starts_with(&[quote; 3]);
    let end: &[u8] = if is_long { &[quote; 3] } else { &[quote] };
    let mut at = end.len();
    while let Some(byte) = source.get(at) {
        match byte {
            b'\\' if escapes == Escapes::Count => at += 1,
            b'\n' if !is_long => return at,
            _ if source[at..].starts_with(end) => return at + end.len(),
            _ => {}
        }
        at += 1;
    }
    source.len()
}

/// Checks all names.
pub(super) fn check(tree: &IdedExpr, source: &str) -> Result<MetaUse, String> {
    let mut walk = Walk { source, meta: MetaUse::default(), bound: Vec::new(), depth: 0 };
    walk.node(tree)?;
    Ok(walk.meta)
}

struct Walk<'e> {
    source: &'e str,
    meta: MetaUse,
    /// Names bound by the macro around, when there is one.
    bound: Vec<&'e str>,
    depth: usize,
}

/// Levels of a tree: evaluating it recurses as deep, on the stack of a shard. `a + b + c` has three,
/// `a || b || c || d` as well.
const DEPTH_MAX: usize = 32;

impl<'e> Walk<'e> {
    fn node(&mut self, node: &'e IdedExpr) -> Result<(), String> {
        if self.depth == DEPTH_MAX {
            return Err(format!(
                "expected at most {DEPTH_MAX} steps that each need the one before, as in a + b + c"
            ));
        }
        self.depth += 1;
        let checked = self.inner(node);
        self.depth -= 1;
        checked
    }

    fn inner(&mut self, node: &'e IdedExpr) -> Result<(), String> {
        match &node.expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.name(name),
            Expr::Select(select) => self.node(&select.operand),
            Expr::List(list) => list.elements.iter().try_for_each(|node| self.node(node)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| self.entry(&entry.expr)),
            Expr::Struct(made) => Err(self.unknown("type", &made.type_name)),
            Expr::Call(call) => {
                self.function(&call.func_name)?;
                call.target.iter().try_for_each(|target| self.node(target))?;
                call.args.iter().try_for_each(|node| self.node(node))
            }
            Expr::Comprehension(each) => {
                if !self.bound.is_empty() || contains_macro(&each.iter_range) {
                    return Err("expected no macro (all, exists, exists_one, map, filter) inside \
                                or behind another"
                        .to_owned());
                }
                self.node(&each.iter_range)?;
                self.bound = vec![&each.iter_var, &each.accu_var];
                self.bound.extend(each.iter_var2.as_deref());
                for node in [&each.accu_init, &each.loop_cond, &each.loop_step, &each.result] {
                    self.node(node)?;
                }
                self.bound.clear();
                Ok(())
            }
        }
    }

    fn entry(&mut self, entry: &'e EntryExpr) -> Result<(), String> {
        match entry {
            EntryExpr::StructField(field) => self.node(&field.value),
            EntryExpr::MapEntry(entry) => {
                self.node(&entry.key)?;
                self.node(&entry.value)
            }
        }
    }

    fn name(&mut self, name: &str) -> Result<(), String> {
        if self.bound.contains(&name) {
            return Ok(());
        }
        let is_type = FUNCTIONS.contains(&name) || matches!(name, "list" | "map" | "null_type");
        if !NAMES.contains(&name) && !is_type {
            return Err(self.unknown("variable", name));
        }
        if name == "meta" {
            self.meta = MetaUse::Read;
        }
        Ok(())
    }

    fn function(&self, name: &str) -> Result<(), String> {
        // Operators are calls of names that nobody can write.
        let is_written = name.starts_with(|first: char| first.is_ascii_alphabetic());
        if is_written && !FUNCTIONS.contains(&name) {
            return Err(self.unknown("function", name));
        }
        Ok(())
    }

    fn unknown(&self, what: &str, name: &str) -> String {
        let (line, column) = place(self.source, name);
        let known = if what == "function" { FUNCTIONS.as_slice() } else { NAMES.as_slice() };
        format!("{line}:{column}: unknown {what} \"{name}\", expected one of {}", known.join(", "))
    }
}

fn contains_macro(node: &IdedExpr) -> bool {
    match &node.expr {
        Expr::Comprehension(_) => true,
        Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) | Expr::Struct(_) => false,
        Expr::Select(select) => contains_macro(&select.operand),
        Expr::List(list) => list.elements.iter().any(contains_macro),
        Expr::Map(map) => map.entries.iter().any(|entry| match &entry.expr {
            EntryExpr::StructField(field) => contains_macro(&field.value),
            EntryExpr::MapEntry(entry) => {
                contains_macro(&entry.key) || contains_macro(&entry.value)
            }
        }),
        Expr::Call(call) => {
            call.target.as_deref().is_some_and(contains_macro)
                || call.args.iter().any(contains_macro)
        }
    }
}

/// Line and column of the first place this word stands at, from 1.
pub(super) fn place(source: &str, word: &str) -> (usize, usize) {
    let is_whole = |at: &usize| {
        let before = source[..*at].bytes().next_back().is_some_and(is_word);
        let after = source[at + word.len()..].bytes().next().is_some_and(is_word);
        !before && !after
    };
    let at = source.match_indices(word).map(|(at, _)| at).find(is_whole).unwrap_or(0);
    line_and_column(source, at)
}

/// Of a byte, from 1.
fn line_and_column(source: &str, at: usize) -> (usize, usize) {
    let before = &source[..at];
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
