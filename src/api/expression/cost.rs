//! How many steps an expression can take for a session of a certain weight, told before it runs.
//!
//! A step is about what reading a record takes. Every node is one; one that goes through what it is
//! given (a comparison, a concatenation, `in`, a list that is built) is as many more as that weighs.
//! What comes from a session weighs at most what the whole session does, and the items that a macro
//! goes through weigh no more than that together: so the steps are a polynomial in the weight.

use std::ops::{Add, AddAssign};

use cel::IdedExpr;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue};

use super::patterns::Patterns;

/// Bytes of a text that weigh as much as a value of their own.
pub(super) const BYTES_PER_STEP: usize = 64;

/// What making a variable that is a text takes.
const TEXT_STEPS: usize = 4;

/// What an expression can take.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Cost {
    total: Steps,
    /// Its macros, in the order in which they are written.
    macros: Vec<Steps>,
}

/// Steps by powers of a session's weight.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
struct Steps {
    by_square: usize,
    by_weight: usize,
    fixed: usize,
}

/// What a value weighs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
struct Weight {
    steps: Steps,
    /// So many times the item that the macro around is at.
    items: usize,
}

impl Cost {
    /// Counts an expression whose names and macros have been checked.
    pub(super) fn of(tree: &IdedExpr, patterns: &Patterns) -> Self {
        let mut count = Count { cost: Self::default(), each: None, patterns };
        count.node(tree);
        count.cost
    }

    /// The most steps it takes for a session that weighs so much.
    pub(super) fn steps(&self, weight: usize) -> usize {
        self.total.at(weight)
    }

    /// Which of its macros takes most, counted from 0 as they are written.
    pub(super) fn costliest_macro(&self) -> Option<usize> {
        let costs = self.macros.iter().enumerate();
        costs.max_by_key(|(_, steps)| steps.at(1)).map(|(number, _)| number)
    }
}

impl Steps {
    const WEIGHT: Self = Self { by_square: 0, by_weight: 1, fixed: 0 };

    const fn fixed(fixed: usize) -> Self {
        Self { by_square: 0, by_weight: 0, fixed }
    }

    const fn at(self, weight: usize) -> usize {
        let Self { by_square, by_weight, fixed } = self;
        by_square
            .saturating_mul(weight)
            .saturating_add(by_weight)
            .saturating_mul(weight)
            .saturating_add(fixed)
    }

    const fn times(self, times: usize) -> Self {
        Self {
            by_square: self.by_square.saturating_mul(times),
            by_weight: self.by_weight.saturating_mul(times),
            fixed: self.fixed.saturating_mul(times),
        }
    }

    /// So many for each of so many.
    fn each(self, of: Self) -> Self {
        let by_weight = self.times(of.by_weight);
        let is_cubic = self.by_square > 0 && (of.by_weight, of.by_square) != (0, 0)
            || of.by_square > 0 && self.by_weight > 0;
        let square = if is_cubic {
            usize::MAX
        } else {
            by_weight.by_weight.saturating_add(self.fixed.saturating_mul(of.by_square))
        };
        let shifted = Self { by_square: square, by_weight: by_weight.fixed, fixed: 0 };
        self.times(of.fixed) + shifted
    }
}

impl Add for Steps {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            by_square: self.by_square.saturating_add(other.by_square),
            by_weight: self.by_weight.saturating_add(other.by_weight),
            fixed: self.fixed.saturating_add(other.fixed),
        }
    }
}

impl AddAssign for Steps {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Weight {
    const SESSION: Self = Self { steps: Steps::WEIGHT, items: 0 };
    const ITEM: Self = Self { steps: Steps::fixed(1), items: 1 };
    /// A number, a boolean.
    const ONE: Self = Self::fixed(1);

    const fn fixed(fixed: usize) -> Self {
        Self { steps: Steps::fixed(fixed), items: 0 }
    }

    const fn times(self, times: usize) -> Self {
        Self { steps: self.steps.times(times), items: self.items.saturating_mul(times) }
    }
}

impl Add for Weight {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { steps: self.steps + other.steps, items: self.items.saturating_add(other.items) }
    }
}

struct Count<'e> {
    cost: Cost,
    /// In a macro: its names for an item, and what one round takes.
    each: Option<(&'e ComprehensionExpr, Weight)>,
    patterns: &'e Patterns,
}

impl<'e> Count<'e> {
    fn spend(&mut self, weight: Weight) {
        match &mut self.each {
            Some((_, round)) => *round = *round + weight,
            None => self.cost.total += weight.steps,
        }
    }

    /// Counts a node and those below it. Returns what its value weighs.
    fn node(&mut self, node: &'e IdedExpr) -> Weight {
        self.spend(Weight::ONE);
        match &node.expr {
            Expr::Unspecified | Expr::Struct(_) => Weight::ONE,
            Expr::Literal(literal) => Weight::fixed(1 + literal_bytes(literal) / BYTES_PER_STEP),
            Expr::Ident(name) => self.name(name),
            Expr::Select(select) => {
                let operand = self.node(&select.operand);
                if select.test { Weight::ONE } else { operand }
            }
            Expr::List(list) => {
                let parts = list.elements.iter();
                let built = parts.fold(Weight::ONE, |all, part| all + self.node(part));
                self.spend(built);
                built
            }
            Expr::Map(map) => {
                let built = map.entries.iter().fold(Weight::ONE, |all, entry| match &entry.expr {
                    EntryExpr::StructField(field) => all + self.node(&field.value),
                    EntryExpr::MapEntry(entry) => {
                        all + self.node(&entry.key) + self.node(&entry.value)
                    }
                });
                self.spend(built);
                built
            }
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(each) => self.rounds(each),
        }
    }

    fn name(&mut self, name: &str) -> Weight {
        let is_item = self.each.is_some_and(|(each, _)| {
            each.iter_var == name || each.iter_var2.as_deref() == Some(name)
        });
        if is_item {
            return Weight::ITEM;
        }
        match name {
            "meta" => Weight::SESSION,
            "labels" => {
                self.spend(Weight::SESSION);
                Weight::SESSION
            }
            // What a macro gathers: its name begins with a sign that nobody can write.
            _ if name.starts_with('@') => Weight::ONE,
            _ => {
                self.spend(Weight::fixed(TEXT_STEPS));
                Weight::SESSION
            }
        }
    }

    fn call(&mut self, call: &'e CallExpr) -> Weight {
        let given: Vec<Weight> = call
            .target
            .iter()
            .map(|node| &**node)
            .chain(&call.args)
            .map(|n| self.node(n))
            .collect();
        let all = given.iter().fold(Weight::default(), |all, weight| all + *weight);
        let least = given.iter().min().copied().unwrap_or_default();
        let last = given.last().copied().unwrap_or_default();
        let (spent, value) = match call.func_name.as_str() {
            "_&&_" | "_||_" | "!_" | "@not_strictly_false" => (Weight::default(), Weight::ONE),
            "_?_:_" | "_[_]" => (Weight::default(), all),
            "_==_" | "_!=_" | "_<_" | "_<=_" | "_>_" | "_>=_" | "startsWith" | "endsWith" => {
                (least, Weight::ONE)
            }
            "@in" => (last, Weight::ONE),
            "size" | "contains" => (all, Weight::ONE),
            "matches" => (all.times(self.pattern_steps(call)), Weight::ONE),
            _ => (all, all),
        };
        self.spend(spent);
        value
    }

    fn pattern_steps(&self, call: &CallExpr) -> usize {
        match call.args.last().map(|node| &node.expr) {
            Some(Expr::Literal(LiteralValue::String(text))) => self.patterns.steps(text.inner()),
            _ => unreachable!("a pattern is a text"),
        }
    }

    fn rounds(&mut self, each: &'e ComprehensionExpr) -> Weight {
        let range = self.node(&each.iter_range);
        // Each item is copied.
        self.spend(range);
        self.node(&each.accu_init);
        self.each = Some((each, Weight::default()));
        self.node(&each.loop_cond);
        self.node(&each.loop_step);
        let (_, round) = self.each.take().expect("no macro is in another");
        let rounds = round.steps.each(range.steps) + range.steps.times(round.items);
        self.cost.total += rounds;
        self.cost.macros.push(rounds);
        self.node(&each.result);
        if matches!(each.accu_init.expr, Expr::List(_)) {
            // Whatever is in it was put there by a step.
            return Weight { steps: rounds, items: 0 };
        }
        Weight::ONE
    }
}

fn literal_bytes(literal: &LiteralValue) -> usize {
    match literal {
        LiteralValue::String(text) => text.inner().len(),
        LiteralValue::Bytes(bytes) => bytes.inner().len(),
        LiteralValue::Boolean(_)
        | LiteralValue::Double(_)
        | LiteralValue::Int(_)
        | LiteralValue::Null
        | LiteralValue::UInt(_) => 0,
    }
}
