//! Known departures of real servers that a client can see, as SPEC.md's appendix numbers them.

macro_rules! errata {
    ($($variant:ident $id:literal)*) => {
        /// A known departure of a real Redis from the specification, listed in SPEC.md's appendix.
        #[allow(missing_docs, non_camel_case_types)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Erratum {
            $($variant,)*
        }

        impl Erratum {
            /// All errata, in the appendix' order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The id as SPEC.md writes it, for example `E-1`.
            pub fn id(self) -> &'static str {
                match self {
                    $(Self::$variant => $id,)*
                }
            }
        }
    };
}

errata! {
    E_1 "E-1" E_2 "E-2" E_3 "E-3" E_4 "E-4" E_5 "E-5" E_6 "E-6" E_7 "E-7" E_8 "E-8" E_9 "E-9" E_10 "E-10" E_11 "E-11"
    E_12 "E-12" E_13 "E-13" E_14 "E-14" E_15 "E-15" E_16 "E-16" E_17 "E-17" E_18 "E-18" E_19 "E-19" E_20 "E-20" E_26 "E-26"
    E_42 "E-42" E_43 "E-43" E_44 "E-44" E_50 "E-50" E_51 "E-51" E_52 "E-52" E_53 "E-53" E_59 "E-59" E_62 "E-62" E_63 "E-63"
    E_70 "E-70" E_71 "E-71" E_72 "E-72" E_73 "E-73" E_90 "E-90" E_91 "E-91" E_92 "E-92" E_93 "E-93" E_94 "E-94" E_95 "E-95"
    E_96 "E-96" E_97 "E-97" E_112 "E-112" E_113 "E-113" E_114 "E-114" E_123 "E-123"
    E_160 "E-160" E_161 "E-161" E_176 "E-176" E_177 "E-177"
}
