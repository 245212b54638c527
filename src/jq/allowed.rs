//! What stored expressions may call. They run on every event, so they can neither define nor repeat without end, nor see
//! anything but the event.

/// Every function with its number of arguments. What is not here is refused, so that one that comes with a new version of the
/// library is looked at first.
const FUNCTIONS: &str = "
    empty/0 null/0 true/0 false/0 not/0 select/1 error/0 error/1 isempty/1
    all/0 all/1 all/2 any/0 any/1 any/2 first/0 first/1 last/0 last/1 nth/1 nth/2 limit/2 skip/2
    map/1 map_values/1 walk/1 del/1 pick/1 path/1 paths/0 paths/1 getpath/1 setpath/2 delpaths/1 recurse/0
    keys/0 keys_unsorted/0 has/1 in/1 to_entries/0 from_entries/0 with_entries/1
    length/0 utf8bytelength/0 type/0 contains/1 inside/1 index/1 rindex/1 indices/1 bsearch/1
    add/0 add/1 min/0 max/0 min_by/1 max_by/1 sort/0 sort_by/1 group_by/1 unique/0 unique_by/1 reverse/0 flatten/0 flatten/1
    transpose/0 join/1 values/0 nulls/0 booleans/0 numbers/0 finites/0 normals/0 strings/0 arrays/0 objects/0 iterables/0
    scalars/0 isboolean/0 isnumber/0 isstring/0 isarray/0 isobject/0
    tostring/0 tonumber/0 toboolean/0 tojson/0 fromjson/0 explode/0 implode/0 ascii_downcase/0 ascii_upcase/0
    startswith/1 endswith/1 ltrimstr/1 rtrimstr/1 trim/0 ltrim/0 rtrim/0 split/1 split/2
    test/1 test/2 match/1 match/2 capture/1 capture/2 scan/1 scan/2 splits/1 splits/2 sub/2 sub/3 gsub/2 gsub/3
    @text/0 @json/0 @html/0 @htmld/0 @uri/0 @urid/0 @base64/0 @base64d/0 @sh/0 @csv/0 @tsv/0
    todate/0 fromdate/0 todateiso8601/0 fromdateiso8601/0 gmtime/0 mktime/0 strftime/1 strptime/1
    floor/0 ceil/0 round/0 trunc/0 rint/0 nearbyint/0 sqrt/0 cbrt/0 pow/2 pow10/0 exp/0 exp2/0 exp10/0 expm1/0 log/0 log2/0
    log10/0 log1p/0 abs/0 fabs/0 fmin/2 fmax/2 fmod/2 fdim/2 fma/3 hypot/2 copysign/2 remainder/2 drem/2 ldexp/2 scalb/2
    scalbln/2 nextafter/2 nexttoward/2 frexp/0 modf/0 logb/0 ilogb/0 significand/0 gamma/0 lgamma/0 tgamma/0
    sin/0 cos/0 tan/0 asin/0 acos/0 atan/0 atan2/2 sinh/0 cosh/0 tanh/0 asinh/0 acosh/0 atanh/0
    nan/0 infinite/0 isnan/0 isinfinite/0 isfinite/0 isnormal/0
";

/// Why a function is refused, and what to do instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason {
    pub why: &'static str,
    pub hint: &'static str,
}

pub const DEFINITION: Reason = Reason {
    why: "a definition can call itself without end",
    hint: "write the steps one after another: `. as $event | …` keeps a value, `map(…)` and `reduce` go over many",
};
const GENERATOR: Reason = Reason {
    why: "it can make values without end",
    hint: "go over what the event holds: `.data.items[]`, `map(…)`, `limit(3; .data.items[])`",
};
const OUTSIDE: Reason = Reason {
    why: "an expression sees nothing but the event",
    hint: "the event has .event_id, .event_type, .timestamp, .user, .entity, .action, .description and .data",
};

/// What is refused with a reason of its own: the name, and the reason. With other numbers of arguments it may be allowed.
const REFUSED: &[(&str, Reason)] = &[
    ("recurse", GENERATOR),
    ("repeat", GENERATOR),
    ("range", GENERATOR),
    ("while", GENERATOR),
    ("until", GENERATOR),
    ("combinations", GENERATOR),
    ("env", OUTSIDE),
    ("$ENV", OUTSIDE),
    ("$__prog_args", OUTSIDE),
    ("$__loc__", OUTSIDE),
    ("input", OUTSIDE),
    ("inputs", OUTSIDE),
    ("input_filename", OUTSIDE),
    ("input_line_number", OUTSIDE),
    ("now", OUTSIDE),
    ("localtime", OUTSIDE),
    ("strflocaltime", OUTSIDE),
    ("debug", OUTSIDE),
    ("stderr", OUTSIDE),
    ("halt", OUTSIDE),
    ("halt_error", OUTSIDE),
    ("get_search_list", OUTSIDE),
    ("modulemeta", OUTSIDE),
    ("module", OUTSIDE),
    ("import", OUTSIDE),
    ("include", OUTSIDE),
];

/// Each as `name/arguments`.
pub fn functions() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.split_ascii_whitespace()
}

pub fn is_allowed(name: &str, arguments: usize) -> bool {
    functions().any(|function| {
        let (known, count) = function.split_once('/').unwrap_or((function, ""));
        known == name && count.parse() == Ok(arguments)
    })
}

/// Why a function or variable that is not allowed is refused; `None` where it is known to nobody.
pub fn reason(name: &str) -> Option<Reason> {
    // The functions of a module.
    if name.contains("::") {
        return Some(OUTSIDE);
    }
    REFUSED.iter().find(|(refused, _)| *refused == name).map(|(_, reason)| *reason)
}
