//! Sorted sets of places.

use super::Argument::{Count, Distance, Key, Latitude, Longitude, Many, Member, OneOf, Optional, Options, Word};
use super::Family::Geo;
use super::Want::{Any, Zset};
use super::{Argument, Grammar};

const KEY: Argument = Key(Zset);
const UNIT: Argument =
    OneOf(&[&[Word("m")], &[Word("km")], &[Word("km")], &[Word("km")], &[Word("ft")], &[Word("mi")]]);
const LOOKS: Argument = Options(&[
    &[Word("WITHCOORD")],
    &[Word("WITHDIST")],
    &[Word("WITHHASH")],
    &[Word("COUNT"), Count],
    &[OneOf(&[&[Word("ASC")], &[Word("DESC")]])],
]);
const STORES: Argument = Options(&[
    &[OneOf(&[&[Word("STORE"), Key(Any)], &[Word("STOREDIST"), Key(Any)]])],
    &[Word("COUNT"), Count],
    &[OneOf(&[&[Word("ASC")], &[Word("DESC")]])],
]);
const ANY: Argument = OneOf(&[&[LOOKS], &[LOOKS], &[STORES], &[LOOKS, STORES]]);

pub(super) const COMMANDS: &[Grammar] = &[
    Grammar::new("geoadd", Geo, 40, &[KEY, Many(&[Longitude, Latitude, Member])]),
    Grammar::new("geodist", Geo, 15, &[KEY, Member, Member, Optional(&[UNIT])]),
    Grammar::new("geohash", Geo, 10, &[KEY, Optional(&[Many(&[Member])])]),
    Grammar::new("geopos", Geo, 10, &[KEY, Optional(&[Many(&[Member])])]),
    Grammar::new("georadius", Geo, 20, &[KEY, Longitude, Latitude, Distance, UNIT, ANY]),
    Grammar::new("georadius_ro", Geo, 8, &[KEY, Longitude, Latitude, Distance, UNIT, LOOKS]),
    Grammar::new("georadiusbymember", Geo, 15, &[KEY, Member, Distance, UNIT, ANY]),
    Grammar::new("georadiusbymember_ro", Geo, 8, &[KEY, Member, Distance, UNIT, LOOKS]),
];
