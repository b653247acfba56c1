//! The patterns of `matches`: compiled once, when the expression is read. CEL would compile a
//! pattern again for each session.

use std::sync::Arc;

use cel::common::ast::{Expr, LiteralValue};
use cel::extractors::This;
use cel::{Context, ExecutionError, IdedExpr};
use regex::{Regex, RegexBuilder};

use super::checks::place;

/// Memory of one compiled pattern, in bytes. A larger one is refused with 107.
const PATTERN_BYTES_MAX: usize = 64 * 1024;

/// The smallest bound tried for how large a pattern is, in bytes.
const PATTERN_BYTES_MIN: usize = 2 * 1024;

/// Bytes of a compiled pattern that take one more step for each
/// [`BYTES_PER_STEP`](super::cost::BYTES_PER_STEP) of a text: at worst, a search looks at every part
/// of the pattern for each byte.
const PATTERN_BYTES_PER_STEP: usize = 128;

/// Patterns of one expression. One more is refused with 107.
const PATTERNS_MAX: usize = 16;

/// All patterns of an expression.
#[derive(Clone, Debug)]
pub(super) struct Patterns(Arc<[Pattern]>);

#[derive(Debug)]
struct Pattern {
    text: Box<str>,
    regex: Regex,
    steps: usize,
}

impl Patterns {
    /// Compiles the patterns of an expression that has been checked.
    pub(super) fn read(tree: &IdedExpr, source: &str) -> Result<Self, String> {
        let mut patterns = Vec::new();
        collect(tree, source, &mut patterns)?;
        Ok(Self(patterns.into()))
    }

    /// How many steps looking for this pattern takes, for each
    /// [`BYTES_PER_STEP`](super::cost::BYTES_PER_STEP) of a text.
    pub(super) fn steps(&self, pattern: &str) -> usize {
        self.find(pattern).expect("all were compiled").steps
    }

    fn find(&self, pattern: &str) -> Option<&Pattern> {
        self.0.iter().find(|found| *found.text == *pattern)
    }

    /// Makes `text.matches(pattern)` a function of this context.
    pub(super) fn add_to(&self, context: &mut Context<'_, '_>) {
        let patterns = self.clone();
        let matches = move |This(text): This<Arc<String>>, pattern: Arc<String>| {
            let found = patterns.find(&pattern).ok_or_else(|| {
                ExecutionError::function_error("matches", "a pattern that was not written")
            })?;
            Ok::<_, ExecutionError>(cel::Value::from(found.regex.is_match(&text)))
        };
        let added = context.add_function("matches", matches);
        added.expect("the crate's own is a feature that is off");
    }
}

fn collect(node: &IdedExpr, source: &str, patterns: &mut Vec<Pattern>) -> Result<(), String> {
    use cel::common::ast::EntryExpr::{MapEntry, StructField};
    let mut all = |nodes: &[&IdedExpr]| -> Result<(), String> {
        nodes.iter().try_for_each(|node| collect(node, source, patterns))
    };
    match &node.expr {
        Expr::Unspecified | Expr::Literal(_) | Expr::Ident(_) => Ok(()),
        Expr::Select(select) => all(&[&select.operand]),
        Expr::List(list) => list.elements.iter().try_for_each(|node| all(&[node])),
        Expr::Map(map) => map.entries.iter().try_for_each(|entry| match &entry.expr {
            StructField(field) => all(&[&field.value]),
            MapEntry(entry) => all(&[&entry.key, &entry.value]),
        }),
        Expr::Struct(_) => Ok(()),
        Expr::Comprehension(each) => {
            all(&[&each.iter_range, &each.loop_cond, &each.loop_step, &each.result])
        }
        Expr::Call(call) => {
            call.target.iter().try_for_each(|target| all(&[target]))?;
            call.args.iter().try_for_each(|node| all(&[node]))?;
            if call.func_name == "matches" {
                patterns.push(compile(call.args.last(), source)?);
                if patterns.len() > PATTERNS_MAX {
                    return Err(format!("expected at most {PATTERNS_MAX} patterns"));
                }
            }
            Ok(())
        }
    }
}

fn compile(pattern: Option<&IdedExpr>, source: &str) -> Result<Pattern, String> {
    let (line, column) = place(source, "matches");
    let Some(Expr::Literal(LiteralValue::String(text))) = pattern.map(|node| &node.expr) else {
        return Err(format!("{line}:{column}: the pattern of matches is expected to be a text"));
    };
    let text = text.inner();
    let mut bytes = PATTERN_BYTES_MIN;
    loop {
        match RegexBuilder::new(text).size_limit(bytes).build() {
            Ok(regex) => {
                let steps = bytes / PATTERN_BYTES_PER_STEP;
                return Ok(Pattern { text: text.into(), regex, steps });
            }
            Err(regex::Error::CompiledTooBig(_)) if bytes < PATTERN_BYTES_MAX => bytes *= 2,
            Err(error) => {
                // Its text is drawn over several lines; the last one says what is wrong.
                let why = error.to_string();
                let why = why.lines().next_back().unwrap_or_default();
                let why = why.trim_start_matches("error: ");
                return Err(format!("{line}:{column}: a pattern that cannot be used: {why}"));
            }
        }
    }
}
