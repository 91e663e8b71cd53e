//! The size of a function's zip, which holds one file, compressed with deflate as zip tools do.

use std::io::{self, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::DeflateEncoder;

/// The size of a zip's own records for one file with the name `bootstrap`.
const ZIP_RECORDS: usize = 30 + 46 + 22 + 2 * "bootstrap".len();

/// Counts written bytes and drops them.
#[derive(Debug, Default)]
struct Counter(usize);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The size of the zip in MB of 1,000,000 bytes.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn zipped_mb(binary: &Path) -> io::Result<f64> {
    let mut encoder = DeflateEncoder::new(Counter::default(), Compression::default());
    io::copy(&mut std::fs::File::open(binary)?, &mut encoder)?;
    let bytes = encoder.finish()?.0 + ZIP_RECORDS;
    #[expect(clippy::cast_precision_loss, reason = "some MB")]
    Ok(bytes as f64 / 1e6)
}
