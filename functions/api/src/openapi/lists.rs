//! Rows of lists that `fields` narrows.

use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use crate::routes::deliveries::body::DeliveryBody;
use crate::routes::deliveries::page;
use crate::routes::events::body::EventBody;
use crate::routes::events::page as event_page;

/// A type for the rows of a list, and one for the query value that chooses their fields.
macro_rules! rows {
    ($($row:ident, $names:ident: $whole:ty, $fields:expr;)+) => {$(
        /// The whole thing, or the fields that `fields` names.
        #[derive(Debug)]
        pub struct $row;

        impl PartialSchema for $row {
            fn schema() -> RefOr<Schema> {
                let part = ObjectBuilder::new().description(Some("The fields that `fields` names."));
                AnyOfBuilder::new().item(Ref::from_schema_name(<$whole>::name())).item(part).into()
            }
        }

        impl ToSchema for $row {
            fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
                schemas.push((<$whole>::name().into_owned(), <$whole as PartialSchema>::schema()));
                <$whole>::schemas(schemas);
            }
        }

        /// The names of fields, with commas between.
        #[derive(Debug)]
        pub struct $names;

        impl PartialSchema for $names {
            fn schema() -> RefOr<Schema> {
                let one = $fields.join("|");
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .pattern(Some(format!("^({one})(,({one}))*$")))
                    .description(Some("Names of fields, with commas between."))
                    .into()
            }
        }

        impl ToSchema for $names {}
    )+};
}

rows! {
    DeliveryRow, DeliveryFields: DeliveryBody, page::FIELDS;
    EventRow, EventFields: EventBody, event_page::FIELDS;
}
