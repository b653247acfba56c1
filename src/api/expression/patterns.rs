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

/// Patterns of one expression. One more is refused with 107.
const PATTERNS_MAX: usize = 16;

/// All patterns of an expression, by their text.
#[derive(Clone, Debug)]
pub(super) struct Patterns(Arc<[(Box<str>, Regex)]>);

impl Patterns {
    /// Compiles the patterns of an expression that has been checked.
    pub(super) fn read(tree: &IdedExpr, source: &str) -> Result<Self, String> {
        let mut patterns = Vec::new();
        collect(tree, source, &mut patterns)?;
        Ok(Self(patterns.into()))
    }

    /// Makes `text.matches(pattern)` a function of this context.
    pub(super) fn add_to(&self, context: &mut Context<'_, '_>) {
        let patterns = Arc::clone(&self.0);
        let matches = move |This(text): This<Arc<String>>, pattern: Arc<String>| {
            let found = patterns.iter().find(|(text, _)| **text == **pattern);
            let (_, regex) = found.ok_or_else(|| {
                ExecutionError::function_error("matches", "a pattern that was not written")
            })?;
            Ok::<_, ExecutionError>(cel::Value::from(regex.is_match(&text)))
        };
        let added = context.add_function("matches", matches);
        added.expect("the crate's own is a feature that is off");
    }
}

fn collect(
    node: &IdedExpr,
    source: &str,
    patterns: &mut Vec<(Box<str>, Regex)>,
) -> Result<(), String> {
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

fn compile(pattern: Option<&IdedExpr>, source: &str) -> Result<(Box<str>, Regex), String> {
    let (line, column) = place(source, "matches");
    let Some(Expr::Literal(LiteralValue::String(text))) = pattern.map(|node| &node.expr) else {
        return Err(format!("{line}:{column}: the pattern of matches is expected to be a text"));
    };
    let text = text.inner();
    let compiled = RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).build();
    match compiled {
        Ok(regex) => Ok((text.into(), regex)),
        Err(error) => {
            // Its text is drawn over several lines; the last one says what is wrong.
            let why = error.to_string();
            let why = why.lines().next_back().unwrap_or_default().trim_start_matches("error: ");
            Err(format!("{line}:{column}: a pattern that cannot be used: {why}"))
        }
    }
}
