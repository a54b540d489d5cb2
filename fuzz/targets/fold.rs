#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| subledger_fuzz::run("fold", data));
