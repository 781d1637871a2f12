//! The parameters of a query.

use super::encoding::{Plus, decode};
use super::headers::{self, Evkeyvalq};
use super::uri::NoUri;

/// Adds the parameters of a query to a list that is empty, or leaves it empty.
///
/// Names are kept as they are, values are decoded. A value that has an encoded NUL ends there, as
/// the texts of a list do.
///
/// # Safety
/// `list` is initialised.
pub unsafe fn parse(query: &[u8], list: *mut Evkeyvalq) -> Result<(), NoUri> {
    // SAFETY: the caller guarantees the list.
    unsafe {
        let result = add_parameters(query, list);
        if result.is_err() {
            headers::clear(list);
        }
        result
    }
}

/// # Safety
/// As [`parse`].
unsafe fn add_parameters(query: &[u8], list: *mut Evkeyvalq) -> Result<(), NoUri> {
    let mut rest = query;
    while !rest.is_empty() {
        let end = rest.iter().position(|&byte| byte == b'&');
        let parameter = &rest[..end.unwrap_or(rest.len())];
        rest = end.map_or(b"".as_slice(), |end| &rest[end + 1..]);
        let equals = parameter.iter().position(|&byte| byte == b'=');
        let equals = equals.filter(|&place| place > 0).ok_or(NoUri::Syntax)?;
        let (name, value) = (&parameter[..equals], &parameter[equals + 1..]);
        // SAFETY: the caller guarantees the list. The pair is new, and decoding makes no text
        // longer.
        unsafe {
            let pair = headers::append(list, name, value).map_err(|_| NoUri::Memory)?;
            let text = (*pair.as_ptr()).value.cast::<u8>();
            decode(text, value.len(), text, Plus::Blank);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    fn parameters(query: &str) -> Result<Vec<String>, NoUri> {
        let list = headers::new_list().unwrap().as_ptr();
        let mut texts = Vec::new();
        // SAFETY: the list is this test's alone; its texts are terminated.
        unsafe {
            let result = parse(query.as_bytes(), list);
            let mut pair = Evkeyvalq::first(list);
            while !pair.is_null() {
                let [key, value] =
                    [(*pair).key, (*pair).value].map(|text| CStr::from_ptr(text).to_str().unwrap());
                texts.push(format!("{key}={value}"));
                pair = Evkeyvalq::next(pair);
            }
            assert!(result.is_ok() || texts.is_empty());
            headers::free_list(list);
            result.map(|()| texts)
        }
    }

    #[test]
    fn parameters_are_divided_and_their_values_decoded() {
        for (query, wanted) in [
            ("", vec![]),
            ("a=1", vec!["a=1"]),
            ("a=1&", vec!["a=1"]),
            ("a=&b==", vec!["a=", "b=="]),
            ("%61+=%62+c", vec!["%61+=b c"]),
            ("a=1;b=2&a=3", vec!["a=1;b=2", "a=3"]),
            ("a=x%00y&b=%", vec!["a=x", "b=%"]),
        ] {
            let wanted = wanted.into_iter().map(str::to_owned).collect();
            assert_eq!(parameters(query), Ok(wanted), "{query}");
        }
    }

    #[test]
    fn parameters_without_name_or_value_are_refused() {
        for query in [
            "a", "=", "=x", "&", "&a=1", "a=1&&", "a=1&b", "a=1&=", "a=1&&b=2",
        ] {
            assert_eq!(parameters(query), Err(NoUri::Syntax), "{query}");
        }
    }
}
