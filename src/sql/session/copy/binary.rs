//! PostgreSQL's binary layout of `COPY`.

use crate::report::{Report, Result, SqlState};

/// What data begin with.
pub const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// A row's columns; none is NULL.
pub type Fields<'b> = Vec<Option<&'b [u8]>>;

fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn malformed(message: &str) -> Box<Report> {
    Report::error(SqlState::new("22P04"), message)
}

/// Bytes of the header; `None`: not all of it is there.
pub fn header(bytes: &[u8]) -> Result<Option<usize>> {
    let known = bytes.len().min(SIGNATURE.len());
    if bytes[..known] != SIGNATURE[..known] {
        return Err(malformed("COPY file signature not recognized"));
    }
    let at = SIGNATURE.len();
    let (Some(flags), Some(extension)) = (number(bytes, at), number(bytes, at + 4)) else { return Ok(None) };
    if u32::from_be_bytes(flags) != 0 {
        return Err(malformed("unrecognized critical flags in COPY file header"));
    }
    let end = at + 8 + i32::from_be_bytes(extension).max(0) as usize;
    Ok((bytes.len() >= end).then_some(end))
}

/// A row and how many bytes it takes; `None`: not all of it is there; without columns it is the end.
pub fn tuple(bytes: &[u8]) -> Result<Option<(usize, Option<Fields<'_>>)>> {
    let Some(count) = number(bytes, 0).map(i16::from_be_bytes) else { return Ok(None) };
    if count == -1 {
        return Ok(Some((2, None)));
    }
    let mut at = 2;
    let mut fields = Vec::new();
    for _ in 0..count.max(0) {
        let Some(length) = number(bytes, at).map(i32::from_be_bytes) else { return Ok(None) };
        at += 4;
        if length < -1 {
            return Err(malformed("invalid field size"));
        }
        let Ok(length) = usize::try_from(length) else {
            fields.push(None);
            continue;
        };
        let Some(field) = bytes.get(at..at + length) else { return Ok(None) };
        at += length;
        fields.push(Some(field));
    }
    Ok(Some((at, Some(fields))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_may_come_in_pieces() {
        let mut data = SIGNATURE.to_vec();
        data.extend([0; 8]);
        assert_eq!(header(&data).unwrap(), Some(19));
        assert_eq!(header(&data[..12]).unwrap(), None);
        assert!(header(b"PGCOPY\r\n").is_err());
        let row = [0, 2, 0, 0, 0, 1, 7, 255, 255, 255, 255];
        assert_eq!(tuple(&row).unwrap(), Some((11, Some(vec![Some([7].as_slice()), None]))));
        assert_eq!(tuple(&row[..5]).unwrap(), None);
        assert_eq!(tuple(&[255, 255]).unwrap(), Some((2, None)));
        assert!(tuple(&[0, 1, 255, 255, 255, 0]).is_err());
    }
}
