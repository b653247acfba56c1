//! CEL over a session: which sessions an expression means (`expression` of `connections`,
//! `disconnect` and `refresh`).
//!
//! The only place that knows the crate `cel`. An expression is read once, with every limit checked
//! before it runs; what is left to go wrong is a session that it cannot be evaluated for, and that
//! session does not match.

mod checks;
mod json;
mod patterns;
mod variables;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use cel::common::types::CelBool;
use cel::common::value::CowVal;
use cel::parser::{ParseError, ParseErrors, PrattParser};
use cel::{Context, Env, IdedExpr, Value};

use super::error::ApiError;
use crate::session::Session;
use checks::Cost;
use patterns::Patterns;
use variables::Variables;

/// Names, numbers, texts and signs of one expression: what bounds the size and the depth of its
/// tree before it is built. One more is refused with 107.
pub const EXPRESSION_WORDS_MAX: usize = 1_000;

/// Brackets in brackets in one expression. One more is refused with 107.
pub const EXPRESSION_NESTING_MAX: usize = 32;

/// How deep the parser may recurse: a bracket is one level, and so is each part of a condition.
const RECURSION_MAX: u16 = 40;

/// What an operator allows expressions to cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExpressionLimits {
    /// Bytes of one expression (`queries.max_expression_size`); one more is refused with 107.
    pub bytes_max: usize,
    /// Steps it may take for one session (`queries.max_expression_steps`); a session that could
    /// need more does not match.
    pub steps_max: usize,
}

impl Default for ExpressionLimits {
    fn default() -> Self {
        Self { bytes_max: 4_096, steps_max: 100_000 }
    }
}

/// An expression that has been read and checked.
pub(super) struct Expression {
    source: Box<str>,
    tree: IdedExpr,
    env: Arc<Env>,
    patterns: Patterns,
    cost: Cost,
    steps_max: usize,
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.source).finish()
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        (&self.source, self.steps_max) == (&other.source, other.steps_max)
    }
}

impl Eq for Expression {}

/// What an expression says of one session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Said {
    /// It is meant.
    Yes,
    /// It is not.
    No,
    /// Nothing: it could not be evaluated, would have taken too many steps, or is no boolean.
    Nothing,
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// 107 with the place (`line:column`) of what cannot be read, or with the limit it breaks.
    pub(super) fn read(source: &str, limits: ExpressionLimits) -> Result<Self, ApiError> {
        if source.len() > limits.bytes_max {
            return Err(refused(format_args!(
                "expected at most {} bytes (queries.max_expression_size), got {}",
                limits.bytes_max,
                source.len()
            )));
        }
        checks::measure(source).map_err(refused)?;
        let parser = PrattParser::new()
            .max_recursion_depth(RECURSION_MAX)
            .max_expression_node_count(EXPRESSION_WORDS_MAX * 4);
        let tree = parser.parse(source).map_err(|errors| refused(place_of(&errors)))?;
        let cost = checks::check(&tree, source).map_err(refused)?;
        let patterns = Patterns::read(&tree, source).map_err(refused)?;
        let env = Arc::new(Env::stdlib());
        let steps_max = limits.steps_max;
        Ok(Self { source: source.into(), tree, env, patterns, cost, steps_max })
    }

    /// Makes ready to ask it of many sessions: about 10 µs.
    pub(super) fn begin(&self) -> Evaluator<'_> {
        let mut context = Context::with_env(Arc::clone(&self.env));
        self.patterns.add_to(&mut context);
        Evaluator { expression: self, context }
    }
}

/// An expression being asked of one session after the other.
pub(super) struct Evaluator<'e> {
    expression: &'e Expression,
    context: Context<'e, 'e>,
}

impl Evaluator<'_> {
    /// What it says of this session.
    pub(super) fn ask(&self, session: &Session<'_>) -> Said {
        let expression = self.expression;
        let variables = Variables::of(session, expression.cost.meta);
        if expression.cost.steps(variables.items_max()) > expression.steps_max {
            return Said::Nothing;
        }
        evaluate(&expression.tree, &self.context, &variables)
    }
}

fn evaluate(tree: &IdedExpr, context: &Context<'_, '_>, variables: &Variables<'_>) -> Said {
    // One resolver for each session, in a scope of its own: the root with its functions stays.
    let mut scope = context.new_inner_scope();
    scope.set_variable_resolver(variables);
    let said: Result<CowVal<'_, '_>, _> = Value::resolve_val(tree, &scope);
    match said.as_deref().map(|value| value.downcast_ref::<CelBool>().map(|is| *is.inner())) {
        Ok(Some(true)) => Said::Yes,
        Ok(Some(false)) => Said::No,
        Ok(None) | Err(_) => Said::Nothing,
    }
}

fn refused(why: impl fmt::Display) -> ApiError {
    ApiError::bad_request(format_args!("key \"expression\": {why}"))
}

/// The first mistake and where it is.
fn place_of(errors: &ParseErrors) -> String {
    let is_placed = |error: &&ParseError| error.pos.0 > 0;
    if let Some(error) = errors.errors.iter().find(is_placed) {
        let (line, column) = error.pos;
        return format!("{line}:{column}: {}", error.msg);
    }
    errors.errors.first().map_or_else(|| "cannot be read".to_owned(), |error| error.msg.clone())
}
