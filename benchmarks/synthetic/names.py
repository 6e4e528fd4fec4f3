"""Invented people and the places they live in."""

_FIRST = """
Adaeze Aisha Amara Bello Bisi Chidi Chioma Dayo Ebuka Efe Emeka Esther Fatima Femi Funke Gbenga Grace
Habiba Hassan Ibrahim Ifeoma Ijeoma Ikenna Jide Joy Kelechi Kemi Kunle Lawal Lola Maryam Musa Nkechi
Nneka Obinna Ola Peace Rukayat Sade Sani Segun Tari Temi Tunde Uche Umar Victor Wale Yemi Zainab
"""
FIRST_NAMES = _FIRST.split()
_LAST = """
Abiodun Abubakar Adebayo Adeleke Afolabi Akande Aliyu Anyanwu Bakare Balogun Chukwu Danjuma Dike Effiong
Eze Ezenwa Garba Hamza Idris Igwe Jimoh Kalu Lawson Madu Mohammed Nnaji Nwosu Obi Ogunleye Okafor Okeke
Okoro Olawale Onuoha Oyelaran Salami Shehu Sule Tijani Udo Usman Waziri Yakubu Yusuf
"""
LAST_NAMES = _LAST.split()
GENDERS = ["Female", "Male"]

REGIONS = ["Lagos", "South West", "North", "South East"]
BRANCHES = [
    "Ikeja", "Surulere", "Yaba",
    "Ibadan", "Abeokuta", "Akure",
    "Kano", "Kaduna", "Jos",
    "Enugu", "Aba", "Onitsha",
]  # fmt: skip
BRANCHES_PER_REGION = 3
STATES = [
    "Lagos", "Lagos", "Lagos",
    "Oyo", "Ogun", "Ondo",
    "Kano", "Kaduna", "Plateau",
    "Enugu", "Abia", "Anambra",
]  # fmt: skip
LGAS = [
    "Ikeja", "Surulere", "Lagos Mainland",
    "Ibadan North", "Abeokuta South", "Akure South",
    "Nassarawa", "Kaduna North", "Jos North",
    "Enugu East", "Aba South", "Onitsha North",
]  # fmt: skip
STREETS = ["Market Road", "Station Road", "Palm Avenue", "Mission Street", "Unity Close", "Harmony Street"]

CHANNELS = ["Direct", "Agent", "Referral", "App", "Partner"]
PARTNERS = ["Harbour Cooperative", "Sunrise Traders", "Union Stores"]
METHODS = ["Cash", "Transfer", "Card", "USSD"]
PAYMENT_CHANNELS = ["Field", "Bank", "POS", "Mobile"]
WAIVER_TYPES = ["Interest", "Fee", "Principal", "Penalty"]
REVERSAL_REASONS = ["Bounced", "Wrong loan", "Duplicate entry", "Chargeback"]
STATUSES = ["Active", "Closed", "Defaulted", "Restructured", "Written Off"]
PAYMENT_STATUSES = ["Pending", "Paid", "Partial", "Overdue"]
