//! Currencies: the active list of ISO 4217, in one table: alphabetic code, numeric code, exponent, name.
//!
//! Codes without a minor unit (gold, special drawing rights, the codes for testing) aren't currencies here:
//! no amount can be kept in them.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::stored::stored_as_text;

/// A currency that is in use, known by its alphabetic code or its numeric one.
///
/// In JSON it is the alphabetic code in capitals, nothing else: `"USD"`. In PostgreSQL it may be the numeric code, a
/// `SMALLINT`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency {
    code: &'static str,
    numeric: i16,
    exponent: u32,
}

/// The text or number isn't the code of an active ISO 4217 currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not the code of an ISO 4217 currency, such as \"USD\"")]
pub struct UnknownCurrency;

macro_rules! currencies {
    ($($code:ident $numeric:literal $exponent:literal $name:literal,)*) => {
        impl Currency {
            $(
                #[doc = concat!($name, ".")]
                pub const $code: Currency =
                    Currency { code: stringify!($code), numeric: $numeric, exponent: $exponent };
            )*

            /// Every currency, in the order of their codes. Not `ALL`: that is the Albanian lek.
            pub const KNOWN: &'static [Currency] = &[$(Currency::$code),*];

            /// The currency of a numeric code: 840 is the United States dollar.
            pub const fn from_numeric(numeric: i16) -> Result<Currency, UnknownCurrency> {
                match numeric {
                    $($numeric => Ok(Currency::$code),)*
                    _ => Err(UnknownCurrency),
                }
            }
        }
    };
}

impl Currency {
    /// The currency of an alphabetic code in capitals.
    pub fn parse(code: &str) -> Result<Currency, UnknownCurrency> {
        let position = Self::KNOWN.binary_search_by(|currency| currency.code.cmp(code));
        position
            .ok()
            .and_then(|position| Self::KNOWN.get(position))
            .copied()
            .ok_or(UnknownCurrency)
    }

    /// The alphabetic code: `"USD"`.
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// The numeric code, 1 to 999, as a `SMALLINT` column keeps it: 840 for the United States dollar. Where it is
    /// written out it has three digits: 8 is `008`.
    pub const fn numeric(&self) -> i16 {
        self.numeric
    }

    /// How many decimals the minor unit has: 2 for cents, 0 for yen.
    pub const fn exponent(&self) -> u32 {
        self.exponent
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.code)
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.code)
    }
}

impl FromStr for Currency {
    type Err = UnknownCurrency;

    fn from_str(code: &str) -> Result<Currency, UnknownCurrency> {
        Currency::parse(code)
    }
}

stored_as_text!(Currency);

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code)
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Currency, D::Error> {
        let code = String::deserialize(deserializer)?;
        Currency::parse(&code).map_err(D::Error::custom)
    }
}

currencies! {
    AED 784 2 "United Arab Emirates dirham",
    AFN 971 2 "Afghan afghani",
    ALL 8 2 "Albanian lek",
    AMD 51 2 "Armenian dram",
    AOA 973 2 "Angolan kwanza",
    ARS 32 2 "Argentine peso",
    AUD 36 2 "Australian dollar",
    AWG 533 2 "Aruban florin",
    AZN 944 2 "Azerbaijani manat",
    BAM 977 2 "Bosnia and Herzegovina convertible mark",
    BBD 52 2 "Barbados dollar",
    BDT 50 2 "Bangladeshi taka",
    BHD 48 3 "Bahraini dinar",
    BIF 108 0 "Burundian franc",
    BMD 60 2 "Bermudian dollar",
    BND 96 2 "Brunei dollar",
    BOB 68 2 "Bolivian boliviano",
    BOV 984 2 "Bolivian mvdol (funds code)",
    BRL 986 2 "Brazilian real",
    BSD 44 2 "Bahamian dollar",
    BTN 64 2 "Bhutanese ngultrum",
    BWP 72 2 "Botswana pula",
    BYN 933 2 "Belarusian ruble",
    BZD 84 2 "Belize dollar",
    CAD 124 2 "Canadian dollar",
    CDF 976 2 "Congolese franc",
    CHE 947 2 "WIR euro",
    CHF 756 2 "Swiss franc",
    CHW 948 2 "WIR franc",
    CLF 990 4 "Chilean unidad de fomento",
    CLP 152 0 "Chilean peso",
    CNY 156 2 "Chinese yuan renminbi",
    COP 170 2 "Colombian peso",
    COU 970 2 "Colombian unidad de valor real",
    CRC 188 2 "Costa Rican colón",
    CUP 192 2 "Cuban peso",
    CVE 132 2 "Cabo Verde escudo",
    CZK 203 2 "Czech koruna",
    DJF 262 0 "Djibouti franc",
    DKK 208 2 "Danish krone",
    DOP 214 2 "Dominican peso",
    DZD 12 2 "Algerian dinar",
    EGP 818 2 "Egyptian pound",
    ERN 232 2 "Eritrean nakfa",
    ETB 230 2 "Ethiopian birr",
    EUR 978 2 "Euro",
    FJD 242 2 "Fiji dollar",
    FKP 238 2 "Falkland Islands pound",
    GBP 826 2 "Pound sterling",
    GEL 981 2 "Georgian lari",
    GHS 936 2 "Ghanaian cedi",
    GIP 292 2 "Gibraltar pound",
    GMD 270 2 "Gambian dalasi",
    GNF 324 0 "Guinean franc",
    GTQ 320 2 "Guatemalan quetzal",
    GYD 328 2 "Guyana dollar",
    HKD 344 2 "Hong Kong dollar",
    HNL 340 2 "Honduran lempira",
    HTG 332 2 "Haitian gourde",
    HUF 348 2 "Hungarian forint",
    IDR 360 2 "Indonesian rupiah",
    ILS 376 2 "Israeli new shekel",
    INR 356 2 "Indian rupee",
    IQD 368 3 "Iraqi dinar",
    IRR 364 2 "Iranian rial",
    ISK 352 0 "Icelandic króna",
    JMD 388 2 "Jamaican dollar",
    JOD 400 3 "Jordanian dinar",
    JPY 392 0 "Japanese yen",
    KES 404 2 "Kenyan shilling",
    KGS 417 2 "Kyrgyz som",
    KHR 116 2 "Cambodian riel",
    KMF 174 0 "Comorian franc",
    KPW 408 2 "North Korean won",
    KRW 410 0 "South Korean won",
    KWD 414 3 "Kuwaiti dinar",
    KYD 136 2 "Cayman Islands dollar",
    KZT 398 2 "Kazakhstani tenge",
    LAK 418 2 "Lao kip",
    LBP 422 2 "Lebanese pound",
    LKR 144 2 "Sri Lankan rupee",
    LRD 430 2 "Liberian dollar",
    LSL 426 2 "Lesotho loti",
    LYD 434 3 "Libyan dinar",
    MAD 504 2 "Moroccan dirham",
    MDL 498 2 "Moldovan leu",
    MGA 969 2 "Malagasy ariary",
    MKD 807 2 "Macedonian denar",
    MMK 104 2 "Myanmar kyat",
    MNT 496 2 "Mongolian tögrög",
    MOP 446 2 "Macanese pataca",
    MRU 929 2 "Mauritanian ouguiya",
    MUR 480 2 "Mauritian rupee",
    MVR 462 2 "Maldivian rufiyaa",
    MWK 454 2 "Malawian kwacha",
    MXN 484 2 "Mexican peso",
    MXV 979 2 "Mexican unidad de inversión",
    MYR 458 2 "Malaysian ringgit",
    MZN 943 2 "Mozambican metical",
    NAD 516 2 "Namibian dollar",
    NGN 566 2 "Nigerian naira",
    NIO 558 2 "Nicaraguan córdoba",
    NOK 578 2 "Norwegian krone",
    NPR 524 2 "Nepalese rupee",
    NZD 554 2 "New Zealand dollar",
    OMR 512 3 "Omani rial",
    PAB 590 2 "Panamanian balboa",
    PEN 604 2 "Peruvian sol",
    PGK 598 2 "Papua New Guinean kina",
    PHP 608 2 "Philippine peso",
    PKR 586 2 "Pakistani rupee",
    PLN 985 2 "Polish złoty",
    PYG 600 0 "Paraguayan guaraní",
    QAR 634 2 "Qatari rial",
    RON 946 2 "Romanian leu",
    RSD 941 2 "Serbian dinar",
    RUB 643 2 "Russian ruble",
    RWF 646 0 "Rwandan franc",
    SAR 682 2 "Saudi riyal",
    SBD 90 2 "Solomon Islands dollar",
    SCR 690 2 "Seychelles rupee",
    SDG 938 2 "Sudanese pound",
    SEK 752 2 "Swedish krona",
    SGD 702 2 "Singapore dollar",
    SHP 654 2 "Saint Helena pound",
    SLE 925 2 "Sierra Leonean leone",
    SOS 706 2 "Somali shilling",
    SRD 968 2 "Surinamese dollar",
    SSP 728 2 "South Sudanese pound",
    STN 930 2 "São Tomé and Príncipe dobra",
    SVC 222 2 "Salvadoran colón",
    SYP 760 2 "Syrian pound",
    SZL 748 2 "Eswatini lilangeni",
    THB 764 2 "Thai baht",
    TJS 972 2 "Tajikistani somoni",
    TMT 934 2 "Turkmenistani manat",
    TND 788 3 "Tunisian dinar",
    TOP 776 2 "Tongan paʻanga",
    TRY 949 2 "Turkish lira",
    TTD 780 2 "Trinidad and Tobago dollar",
    TWD 901 2 "New Taiwan dollar",
    TZS 834 2 "Tanzanian shilling",
    UAH 980 2 "Ukrainian hryvnia",
    UGX 800 0 "Ugandan shilling",
    USD 840 2 "United States dollar",
    USN 997 2 "United States dollar, next day (funds code)",
    UYI 940 0 "Uruguayan peso in indexed units",
    UYU 858 2 "Uruguayan peso",
    UYW 927 4 "Uruguayan unidad previsional",
    UZS 860 2 "Uzbekistani sum",
    VED 926 2 "Venezuelan digital bolívar",
    VES 928 2 "Venezuelan sovereign bolívar",
    VND 704 0 "Vietnamese đồng",
    VUV 548 0 "Vanuatu vatu",
    WST 882 2 "Samoan tala",
    XAD 396 2 "Arab accounting dinar",
    XAF 950 0 "Central African CFA franc",
    XCD 951 2 "East Caribbean dollar",
    XCG 532 2 "Caribbean guilder",
    XOF 952 0 "West African CFA franc",
    XPF 953 0 "CFP franc",
    YER 886 2 "Yemeni rial",
    ZAR 710 2 "South African rand",
    ZMW 967 2 "Zambian kwacha",
    ZWG 924 2 "Zimbabwe gold",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_well_formed() {
        assert!(Currency::KNOWN.is_sorted_by(|left, right| left.code < right.code));
        for currency in Currency::KNOWN {
            assert!(currency.code.len() == 3 && currency.code.bytes().all(|byte| byte.is_ascii_uppercase()));
            assert!(matches!(currency.exponent, 0 | 2 | 3 | 4), "{currency}");
        }
    }

    #[test]
    fn exponents_that_are_not_two() {
        let with = |exponent| -> Vec<&str> {
            let currencies = Currency::KNOWN
                .iter()
                .filter(|currency| currency.exponent == exponent);
            currencies.map(Currency::code).collect()
        };
        assert_eq!(
            with(0),
            [
                "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND",
                "VUV", "XAF", "XOF", "XPF"
            ]
        );
        assert_eq!(with(3), ["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"]);
        assert_eq!(with(4), ["CLF", "UYW"]);
    }

    #[test]
    fn every_code_is_found_and_nothing_else() {
        for currency in Currency::KNOWN {
            assert_eq!(Currency::parse(currency.code()), Ok(*currency));
            assert_eq!(currency.to_string().parse(), Ok(*currency));
        }
        for text in [
            "", "usd", "US", "USDX", " USD", "XXX", "XAU", "ANG", "HRK", "ZZZ", "AAA",
        ] {
            assert_eq!(Currency::parse(text), Err(UnknownCurrency), "{text}");
        }
    }

    #[test]
    fn every_number_is_one_currencys_and_finds_it() {
        let mut numbers: Vec<i16> = Currency::KNOWN.iter().map(Currency::numeric).collect();
        numbers.sort_unstable();
        assert!(numbers.is_sorted_by(|left, right| left < right), "{numbers:?}");
        for currency in Currency::KNOWN {
            assert!((1..=999).contains(&currency.numeric()), "{currency}");
            assert_eq!(Currency::from_numeric(currency.numeric()), Ok(*currency));
        }
        for (number, currency) in [
            (8, Currency::ALL),
            (392, Currency::JPY),
            (414, Currency::KWD),
            (826, Currency::GBP),
            (840, Currency::USD),
            (978, Currency::EUR),
        ] {
            assert_eq!(Currency::from_numeric(number), Ok(currency));
            assert_eq!(currency.numeric(), number);
        }
    }

    #[test]
    fn numbers_that_are_no_currencys() {
        // 276 was the Deutsche Mark, 959 is gold, 963 is for testing and 999 is no currency.
        for number in [i16::MIN, -840, 0, 1, 276, 959, 963, 999, 1000, i16::MAX] {
            assert_eq!(Currency::from_numeric(number), Err(UnknownCurrency), "{number}");
        }
    }

    #[test]
    fn json_is_the_code() {
        assert_eq!(serde_json::to_string(&Currency::EUR).unwrap(), "\"EUR\"");
        assert_eq!(
            serde_json::from_str::<Currency>("\"EUR\"").unwrap(),
            Currency::EUR
        );
        for json in ["\"eur\"", "978", "null", "[\"EUR\"]"] {
            assert!(serde_json::from_str::<Currency>(json).is_err(), "{json}");
        }
    }
}
