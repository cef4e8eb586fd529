//! The lists of choices that the form offers, complete: what is stored and sent to the broker, and what a person reads.

/// One of a list's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What is stored.
    pub value: &'static str,
    /// What a person reads.
    pub name: &'static str,
}

const fn choice(value: &'static str, name: &'static str) -> Choice {
    Choice { value, name }
}

/// Whether a list has the value.
pub fn has(choices: &[Choice], value: &str) -> bool {
    choices.iter().any(|choice| choice.value == value)
}

/// Languages of the broker's papers.
pub const LANGUAGES: &[Choice] = &[
    choice("en_US", "English"),
    choice("zh_CN", "Chinese"),
    choice("es_ES", "Spanish"),
    choice("pt_BR", "Portuguese"),
];

/// Genders, as the broker asks for them.
pub const GENDERS: &[Choice] = &[choice("Male", "Male"), choice("Female", "Female")];

/// Marital statuses.
pub const MARITAL_STATUSES: &[Choice] = &[
    choice("SINGLE", "Single"),
    choice("DIVORCED", "Divorced"),
    choice("MARRIED", "Married"),
    choice("WIDOWED", "Widowed"),
    choice("PARTNER", "Domestic Partner"),
];

/// Types of tax ids that the broker takes.
pub const TAX_ID_TYPES: &[Choice] = &[
    choice("SSN", "Social Security Number"),
    choice("US_TIN", "US Taxpayer Identification Number"),
    choice("EIN", "Employer Identification Number"),
    choice("FTIN", "Foreign Taxpayer Identification Number"),
    choice("GIIN", "Global Intermediary Identification Number"),
    choice("FTNLO", "Foreign tax id not legally required"),
];

/// Kinds of employment.
pub const EMPLOYMENT_STATUSES: &[Choice] = &[
    choice("EMPLOYED", "Employed"),
    choice("RETIRED", "Retired"),
    choice("STUDENT", "Student"),
    choice("UNEMPLOYED", "Not Employed"),
    choice("SELF_EMPLOYED", "Self-Employed / Business Owner"),
];

/// Years of experience as an investor.
pub const EXPERIENCES: &[Choice] = &[
    choice("NONE", "None"),
    choice("YRS_1_2", "1–2 years"),
    choice("YRS_3_5", "3–5 years"),
    choice("YRS_5_10", "5–10 years"),
    choice("YRS_10_", "10+ years"),
];

/// How much risk an investor takes.
pub const RISK_TOLERANCES: &[Choice] = &[
    choice("LOW", "Low Risk"),
    choice("MODERATE", "Moderate Risk"),
    choice("SPECULATION", "Speculative Risk"),
    choice("HIGH", "High Risk"),
];

/// What an investor aims at.
pub const OBJECTIVES: &[Choice] = &[
    choice("LONG_TERM", "Long-term buy & hold investing"),
    choice("INFREQUENT", "Trading infrequently when I see an opportunity"),
    choice("FREQUENT", "Frequent trader, depending on the market"),
    choice("ACTIVE_DAILY", "Active trader, daily trader"),
    choice("NEW", "New to investing"),
];

/// Industries.
pub const EMPLOYMENT_TYPES: &[Choice] = &[
    choice("AGRICULTURE", "Agriculture, Forestry, Fishing and Hunting"),
    choice("MINING", "Mining, Quarrying, and Oil and Gas Extraction"),
    choice("UTILITIES", "Utilities"),
    choice("CONSTRUCTION", "Construction"),
    choice("MANUFACTURING", "Manufacturing"),
    choice("WHOLESALE", "Wholesale Trade"),
    choice("RETAIL", "Retail Trade"),
    choice("TRANSPORT", "Transportation and Warehousing"),
    choice("INFORMATION", "Information"),
    choice("FINANCE", "Finance and Insurance"),
    choice("REAL_ESTATE", "Real Estate and Rental and Leasing"),
    choice("PROFESSIONAL", "Professional, Scientific, and Technical Services"),
    choice("MANAGEMENT", "Management of Companies and Enterprises"),
    choice("EDUCATION", "Educational Services"),
    choice("HEALTH", "Health Care and Social Assistance"),
    choice("ART", "Arts, Entertainment, and Recreation"),
    choice("FOOD", "Accommodation and Food Services"),
    choice("PUBLIC", "Public Administration"),
    choice("WASTE", "Waste Management and Remediation Services"),
];

/// Positions.
pub const EMPLOYMENT_POSITIONS: &[Choice] = &[
    choice("ACCOUNTANT", "Accountant/CPA/Bookkeeper/Controller"),
    choice("ACTUARY", "Actuary"),
    choice("ADJUSTER", "Adjuster"),
    choice("ADMINISTRATOR", "Administrator"),
    choice("ADVERTISER", "Advertiser/Marketer/PR Professional"),
    choice("AGENT", "Agent"),
    choice("ATC", "Air Traffic Controller"),
    choice("AMBASSADOR", "Ambassador/Consulate Professional"),
    choice("ANALYST", "Analyst"),
    choice("APPRAISER", "Appraiser"),
    choice("ARCHITECT", "Architect/Designer"),
    choice("ARTIST", "Artist/Performer/Actor/Dancer"),
    choice("ASSISTANT", "Assistant"),
    choice("ATHLETE", "Athlete"),
    choice("ATTENDANT", "Attendant"),
    choice("ATTORNEY", "Attorney/Judge/Legal Professional"),
    choice("AUCTIONEER", "Auctioneer"),
    choice("AUDITOR", "Auditor"),
    choice("BARBER", "Barber/Beautician/Hairstylist"),
    choice("BROKER", "Broker"),
    choice("BUSINESS_EXEC", "Business Executive (VP, Director, etc.)"),
    choice("BUSINESS_OWNER", "Business Owner"),
    choice("CAREGIVER", "Caregiver"),
    choice("CARPENTER", "Carpenter/Construction Worker"),
    choice("CASHIER", "Cashier"),
    choice("CHEF", "Chef/Cook"),
    choice("CHIROPRACTOR", "Chiropractor"),
    choice("CIVIL", "Civil Servant"),
    choice("CLERGY", "Clergy"),
    choice("CLERK", "Clerk"),
    choice("COMPLIANCE", "Compliance/Regulatory Professional"),
    choice("CONSULTANT", "Consultant"),
    choice("CONTRACTOR", "Contractor"),
    choice("COUNSELOR", "Counselor/Therapist"),
    choice("CUSTOMER_SERVICE", "Customer Service Representative"),
    choice("DEALER", "Dealer"),
    choice("DEVELOPER", "Developer"),
    choice("DISTRIBUTOR", "Distributor"),
    choice("DOCTOR", "Doctor/Dentist/Veterinarian/Surgeon"),
    choice("DRIVER", "Driver"),
    choice("ENGINEER", "Engineer"),
    choice("EXAMINER", "Examiner"),
    choice("EXTERMINATOR", "Exterminator"),
    choice("FACTORY", "Factory/Warehouse Worker"),
    choice("FARMER", "Farmer/Rancher"),
    choice("FINANCIAL", "Financial Planner"),
    choice("FISHERMAN", "Fisherman"),
    choice("FLIGHT", "Flight Attendant"),
    choice("HR", "Human Resources Professional"),
    choice("IMPEX", "Importer/Exporter"),
    choice("INSPECTOR", "Inspector/Investigator"),
    choice("INTERN", "Intern"),
    choice("INVESTMENT", "Investment Advisor/Investment Manager"),
    choice("INVESTOR", "Investor"),
    choice("IT", "IT Professional/IT Associate"),
    choice("JANITOR", "Janitor"),
    choice("JEWELER", "Jeweler"),
    choice("LABORER", "Laborer"),
    choice("LANDSCAPER", "Landscaper"),
    choice("LENDING", "Lending Professional"),
    choice("MANAGER", "Manager"),
    choice("MECHANIC", "Mechanic"),
    choice("MILITARY", "Military, Officer or Associated"),
    choice("MORTICIAN", "Mortician/Funeral Director"),
    choice("NURSE", "Nurse"),
    choice("NUTRITIONIST", "Nutritionist"),
    choice("OFFICE", "Office Associate"),
    choice("PHARMACIST", "Pharmacist"),
    choice("PHYSICAL", "Physical Therapist"),
    choice("PILOT", "Pilot"),
    choice(
        "POLICE",
        "Police Officer/Firefighter/Law Enforcement Professional",
    ),
    choice("POLITICIAN", "Politician"),
    choice("PM", "Project Manager"),
    choice("REP", "Registered Rep"),
    choice("RESEARCHER", "Researcher"),
    choice("SAILOR", "Sailor/Seaman"),
    choice("SALES", "Salesperson"),
    choice("SCIENTIST", "Scientist"),
    choice("SEAMSTRESS", "Seamstress/Tailor"),
    choice("SECURITY", "Security Guard"),
    choice("SOCIAL", "Social Worker"),
    choice("TEACHER", "Teacher/Professor"),
    choice("TECHNICIAN", "Technician"),
    choice("TELLER", "Teller"),
    choice("TRADESPERSON", "Tradesperson/Craftsperson"),
    choice("TRAINER", "Trainer/Instructor"),
    choice("TRANSPORTER", "Transporter"),
    choice("UNDERWRITER", "Underwriter"),
    choice("WRITER", "Writer/Journalist/Editor"),
];

/// The states of the USA and the District of Columbia.
pub const US_PROVINCES: &[Choice] = &[
    choice("AL", "Alabama"),
    choice("AK", "Alaska"),
    choice("AZ", "Arizona"),
    choice("AR", "Arkansas"),
    choice("CA", "California"),
    choice("CO", "Colorado"),
    choice("CT", "Connecticut"),
    choice("DE", "Delaware"),
    choice("DC", "District of Columbia"),
    choice("FL", "Florida"),
    choice("GA", "Georgia"),
    choice("HI", "Hawaii"),
    choice("ID", "Idaho"),
    choice("IL", "Illinois"),
    choice("IN", "Indiana"),
    choice("IA", "Iowa"),
    choice("KS", "Kansas"),
    choice("KY", "Kentucky"),
    choice("LA", "Louisiana"),
    choice("ME", "Maine"),
    choice("MD", "Maryland"),
    choice("MA", "Massachusetts"),
    choice("MI", "Michigan"),
    choice("MN", "Minnesota"),
    choice("MS", "Mississippi"),
    choice("MO", "Missouri"),
    choice("MT", "Montana"),
    choice("NE", "Nebraska"),
    choice("NV", "Nevada"),
    choice("NH", "New Hampshire"),
    choice("NJ", "New Jersey"),
    choice("NM", "New Mexico"),
    choice("NY", "New York"),
    choice("NC", "North Carolina"),
    choice("ND", "North Dakota"),
    choice("OH", "Ohio"),
    choice("OK", "Oklahoma"),
    choice("OR", "Oregon"),
    choice("PA", "Pennsylvania"),
    choice("RI", "Rhode Island"),
    choice("SC", "South Carolina"),
    choice("SD", "South Dakota"),
    choice("TN", "Tennessee"),
    choice("TX", "Texas"),
    choice("UT", "Utah"),
    choice("VT", "Vermont"),
    choice("VA", "Virginia"),
    choice("WA", "Washington"),
    choice("WV", "West Virginia"),
    choice("WI", "Wisconsin"),
    choice("WY", "Wyoming"),
];
