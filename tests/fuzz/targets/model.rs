#![no_main]

mod input;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| input::read("model", bytes));
