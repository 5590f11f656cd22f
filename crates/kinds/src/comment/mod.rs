//! Comments on objects of any kind.

pub mod model;
mod read;
mod steps;

use std::any::Any;

use reconcile_catalog::{Address, Definition, Property};
use serde::{Deserialize, Serialize};

pub use steps::CommentKind;

/// The name of the kind.
pub const NAME: &str = "comment";

/// A comment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// Its text.
    pub text: String,
}

impl Comment {
    /// The address of the comment on an object.
    pub fn address(target: &Address) -> Address {
        Address::belonging_to(NAME, target)
    }
}

impl Definition for Comment {
    fn properties(&self) -> Vec<Property> {
        let Self { text } = self;
        vec![Property::new("comment", text.as_str())]
    }

    fn section(&self) -> &'static str {
        "comments"
    }

    fn to_json(&self) -> serde_json::Value {
        serde_json::json!(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
