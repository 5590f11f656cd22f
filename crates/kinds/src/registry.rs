//! The one list of kinds, in the order in which they are read and shown.
//!
//! Kinds that belong to objects of any kind (comments, owners, grants) stand last: they look up
//! what they belong to.

use crate::kind::Kind;

/// Every kind.
pub const KINDS: &[&dyn Kind] = &[
    &crate::namespace::NamespaceKind,
    &crate::extension::ExtensionKind,
    &crate::enum_type::EnumTypeKind,
    &crate::domain::DomainKind,
    &crate::domain_check::DomainCheckKind,
    &crate::composite::CompositeKind,
    &crate::range::RangeKind,
    &crate::sequence::SequenceKind,
    &crate::table::TableKind,
    &crate::column::ColumnKind,
    &crate::constraint::ConstraintKind,
    &crate::view::ViewKind,
    &crate::materialized_view::MaterializedViewKind,
    &crate::index::IndexKind,
    &crate::inheritance::InheritanceKind,
    &crate::statistics::StatisticsKind,
    &crate::replica_identity::ReplicaIdentityKind,
    &crate::policy::PolicyKind,
    &crate::trigger::TriggerKind,
    &crate::function::FunctionKind,
    &crate::cast::CastKind,
    &crate::other::OtherKind,
    &crate::owned_by::OwnedByKind,
    &crate::comment::CommentKind,
    &crate::owner::OwnerKind,
    &crate::grant::GrantKind,
];

/// The kind with this name.
pub fn kind(name: &str) -> Option<&'static dyn Kind> {
    KINDS.iter().copied().find(|k| k.name() == name)
}
