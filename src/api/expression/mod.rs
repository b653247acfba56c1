//! CEL over a session: which sessions an expression means (`expression` of `connections`,
//! `disconnect` and `refresh`).
//!
//! The only place that knows the crate `cel`. An expression is read once, with every limit checked
//! before it runs; what is left to go wrong is a session that it cannot be evaluated for, and that
//! session does not match.

mod checks;
mod cost;
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
use checks::MetaUse;
use cost::Cost;
use patterns::Patterns;
use variables::{Variables, Weights};

/// Names, numbers, texts and signs of one expression: what bounds the size and the depth of its
/// tree before it is built. One more is refused with 107.
pub const EXPRESSION_WORDS_MAX: usize = 1_000;

/// Brackets in brackets in one expression. One more is refused with 107.
pub const EXPRESSION_NESTING_MAX: usize = 32;

/// How deep the parser may recurse: a bracket is one level, and so is each part of a condition.
const RECURSION_MAX: u16 = 40;

/// Steps that asking takes beside what the expression does; one is about what reading a record takes.
const STEPS_TO_ASK: usize = if cfg!(test) { 2 } else { 20 };

/// Steps that each value of `meta` takes to be parsed and dropped.
const STEPS_TO_PARSE: usize = 3;

/// What an operator allows expressions to cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExpressionLimits {
    /// Bytes of one expression (`queries.max_expression_size`); one more is refused with 107.
    pub bytes_max: usize,
    /// Steps it may take for one session (`queries.max_expression_steps`). One that takes more for
    /// every session is refused with 107; a session that could need more, because of how much there
    /// is in it, does not match.
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
    meta: MetaUse,
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

/// What was said, and how many steps that takes at most: known before it was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Asked {
    pub(super) said: Said,
    pub(super) steps: usize,
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
        let meta = checks::check(&tree, source).map_err(refused)?;
        let patterns = Patterns::read(&tree, source).map_err(refused)?;
        let cost = Cost::of(&tree, &patterns);
        let steps_max = limits.steps_max;
        let least = STEPS_TO_ASK.saturating_add(cost.steps(1));
        if least > steps_max {
            let place = |number| checks::macro_place(source, number);
            let (line, column) = cost.costliest_macro().map_or((1, 1), place);
            return Err(refused(format_args!(
                "{line}:{column}: expected at most {steps_max} steps for one session \
                 (queries.max_expression_steps), got {least}, most of them here"
            )));
        }
        let env = Arc::new(Env::stdlib());
        Ok(Self { source: source.into(), tree, env, patterns, cost, meta, steps_max })
    }

    /// Makes ready to ask it of many sessions: about 10 µs.
    pub(super) fn begin(self: &Arc<Self>) -> Evaluator {
        let mut context = Context::with_env(Arc::clone(&self.env));
        self.patterns.add_to(&mut context);
        Evaluator { expression: Arc::clone(self), context }
    }
}

/// An expression being asked of one session after the other.
pub(super) struct Evaluator {
    expression: Arc<Expression>,
    context: Context<'static, 'static>,
}

impl fmt::Debug for Evaluator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expression.fmt(f)
    }
}

impl Evaluator {
    /// What it says of this session.
    pub(super) fn ask(&self, session: &Session<'_>) -> Asked {
        let Expression { tree, cost, meta, steps_max, .. } = &*self.expression;
        let weights = Weights::of(session, *meta);
        let steps = cost
            .steps(weights.session)
            .saturating_add(weights.meta.saturating_mul(STEPS_TO_PARSE))
            .saturating_add(STEPS_TO_ASK);
        if steps > *steps_max {
            // What was weighed is all that was done.
            return Asked { said: Said::Nothing, steps: STEPS_TO_ASK + weights.session };
        }
        let variables = Variables::of(session, *meta);
        Asked { said: evaluate(tree, &self.context, &variables), steps }
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
