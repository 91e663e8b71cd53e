//! A type's schema among the document's components, and references to it.

use serde_json::Value;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{Content, Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

/// A schema and its name among the document's components.
pub(super) type Named = (String, RefOr<Schema>);

/// A reference to `T`. It adds `T`'s schema, and the schemas that `T` refers to, to `schemas`.
pub(super) fn reference<T: ToSchema>(schemas: &mut Vec<Named>) -> Ref {
    schemas.push((T::name().into_owned(), <T as PartialSchema>::schema()));
    T::schemas(schemas);
    Ref::from_schema_name(T::name())
}

/// A JSON body of type `T`.
pub(super) fn json<T: ToSchema>(schemas: &mut Vec<Named>, example: Value) -> Content {
    ContentBuilder::new().schema(Some(reference::<T>(schemas))).example(Some(example)).build()
}
