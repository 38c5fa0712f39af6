//! 128-bit integers in CBOR: as a plain integer where 64 bits suffice, else as 16 bytes, big-endian.

use minicbor::data::Type;
use minicbor::{Decoder, Encoder};

/// Encodes an `i128`.
///
/// # Errors
/// Those of the writer.
pub fn encode<C, W: minicbor::encode::Write>(
    v: &i128,
    e: &mut Encoder<W>,
    _: &mut C,
) -> Result<(), minicbor::encode::Error<W::Error>> {
    match i64::try_from(*v) {
        Ok(small) => e.i64(small)?.ok(),
        Err(_) => e.bytes(&v.to_be_bytes())?.ok(),
    }
}

/// Decodes an `i128`.
///
/// # Errors
/// Anything but the two forms that [`encode`] writes.
pub fn decode<'b, C>(d: &mut Decoder<'b>, _: &mut C) -> Result<i128, minicbor::decode::Error> {
    match d.datatype()? {
        Type::Bytes => {
            let bytes =
                d.bytes()?.try_into().map_err(|_| minicbor::decode::Error::message("a wide integer has 16 bytes"))?;
            Ok(i128::from_be_bytes(bytes))
        }
        _ => Ok(i128::from(d.i64()?)),
    }
}
