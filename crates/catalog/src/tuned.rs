//! A property that people tune, and that a model may leave to PostgreSQL.

use serde::{Deserialize, Serialize};

use crate::Value;

/// A value that is stated, or PostgreSQL's own choice where the model is silent.
///
/// What is read from a database is stated. Silence is equal to everything, except where the model
/// is complete: there it means the value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tuned<T> {
    /// What it is, or would be.
    pub value: T,
    /// Whether the model does not speak of it.
    #[serde(skip)]
    pub silent: bool,
}

impl<T> Tuned<T> {
    /// A value that is stated.
    pub fn stated(value: T) -> Self {
        Self { value, silent: false }
    }

    /// What PostgreSQL chooses where nobody says anything.
    pub fn silent(value: T) -> Self {
        Self { value, silent: true }
    }

    /// For [`crate::Definition::properties`].
    pub fn compared(&self, value: impl FnOnce(&T) -> Value) -> Value {
        let value = value(&self.value);
        if self.silent { Value::Usual(Box::new(value)) } else { value }
    }
}

impl<T: Default + PartialEq> Tuned<T> {
    /// Whether there is nothing to tell of.
    pub fn is_default(&self) -> bool {
        self.value == T::default()
    }
}
