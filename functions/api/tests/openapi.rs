//! `openapi.json` is the document that the code describes, and the code has the routes that the document describes.

use std::path::Path;

#[test]
fn the_embedded_document_is_the_codes() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let written = api::openapi::document().to_pretty_json().expect("JSON") + "\n";
    let embedded = std::fs::read_to_string(&file).expect("openapi.json");
    if embedded != written {
        std::fs::write(&file, written).expect("openapi.json can be written");
        panic!(
            "openapi.json did not match the code, and was written anew: look at the difference and commit it."
        );
    }
}
