//! Another Rust archive in the same program: its runtime must not clash with the library's.

#[no_mangle]
pub extern "C" fn beside(number: u32) -> usize {
    format!("{number:?}").len()
}
