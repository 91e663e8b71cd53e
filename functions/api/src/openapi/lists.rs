//! Rows of lists that `fields` narrows.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::routes::deliveries::body::{self as delivery, DeliveryBody};
use crate::routes::events::body::{self as event, EventBody};

/// A schema of which any field may be missing. (Rejected: "the whole thing, or any object". A generator of clients
/// makes of it an object without fields, or one whose fields are all there.)
fn narrowed(whole: RefOr<Schema>) -> RefOr<Schema> {
    let RefOr::T(Schema::Object(mut row)) = whole else { unreachable!("each row is an object") };
    row.required.clear();
    row.description = Some("All fields, or those that `fields` names.".to_owned());
    row.into()
}

/// A type for the rows of a list, and one for the query value that chooses their fields.
macro_rules! rows {
    ($($row:ident, $names:ident: $whole:ty, $fields:expr;)+) => {$(
        /// The whole thing, or the fields that `fields` names.
        #[derive(Debug)]
        pub struct $row;

        impl PartialSchema for $row {
            fn schema() -> RefOr<Schema> {
                narrowed(<$whole as PartialSchema>::schema())
            }
        }

        impl ToSchema for $row {
            fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
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
    DeliveryRow, DeliveryFields: DeliveryBody, delivery::FIELDS;
    EventRow, EventFields: EventBody, event::FIELDS;
}
