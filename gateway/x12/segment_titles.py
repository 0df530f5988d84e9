"""What the standard calls its segments (X12.22), for people who read an interchange; nothing is judged by it."""

from __future__ import annotations

_TITLES = """
AAA Request Validation
ACD Account Description
ACK Line Item Acknowledgment
ACT Account Identification
ADX Adjustment
ADV Advertising Demographic Information
AK1 Functional Group Response Header
AK2 Transaction Set Response Header
AK3 Data Segment Note
AK4 Data Element Note
AK5 Transaction Set Response Trailer
AK9 Functional Group Response Trailer
AMT Monetary Amount
ASM Amount and Settlement Method
AT1 Bill of Lading Line Item Number
AT2 Bill of Lading Line Item Detail
AT3 Bill of Lading Rates and Charges
AT4 Bill of Lading Description
AT5 Bill of Lading Handling Requirements
AT7 Shipment Status Details
AT8 Shipment Weight, Packaging and Quantity Data
B10 Beginning Segment for Transportation Carrier Shipment Status Message
B1 Beginning Segment for Booking or Pick-up/Delivery
B2 Beginning Segment for Shipment Information Transaction
B2A Set Purpose
B3 Beginning Segment for Carrier's Invoice
B3A Invoice Type
B4 Beginning Segment for Inquiry or Reply
BAA Beginning Segment for Asset Schedule
BAK Beginning Segment for Purchase Order Acknowledgment
BCA Beginning Segment for Purchase Order Change Acknowledgment
BCD Beginning Credit/Debit Adjustment
BCH Beginning Segment for Purchase Order Change
BCT Beginning Segment for Price/Sales Catalog
BEG Beginning Segment for Purchase Order
BFR Beginning Segment for Planning Schedule
BGN Beginning Segment
BHT Beginning of Hierarchical Transaction
BIA Beginning Segment for Inventory Inquiry/Advice
BIG Beginning Segment for Invoice
BMG Beginning Segment For Text Message
BNR Beginning Segment for Nonconformance Report
BPR Beginning Segment for Payment Order/Remittance Advice
BPT Beginning Segment for Product Transfer and Resale
BQR Beginning Segment for Response to Request for Quotation
BQT Beginning Segment for Request for Quotation
BR Beginning Segment for Material Management
BRA Beginning Segment for Receiving Advice or Acceptance Certificate
BSN Beginning Segment for Ship Notice
BSR Beginning Segment for Order Status Report
BSS Beginning Segment for Shipping Schedule/Production Sequence
BTA Beginning Tax Acknowledgment
BTI Beginning Tax Information
BTP Beginning Segment For Trading Partner Profile
BUD Budget Detail
C3 Currency
CAD Carrier Detail
CAS Claims Adjustment
CD3 Carton (Package) Detail
CL1 Claim Codes
CLD Load Detail
CLM Health Claim
CLP Claim Level Data
CN1 Contract Information
COB Coordination of Benefits
CON Contract Number Detail
CR1 Ambulance Certification
CR2 Chiropractic Certification
CR3 Durable Medical Equipment Certification
CR5 Oxygen Therapy Certification
CR6 Home Health Care Certification
CR7 Home Health Treatment Plan Certification
CRC Conditions Indicator
CSH Sales Requirements
CTB Restrictions/Conditions
CTP Pricing Information
CTT Transaction Totals
CTX Context
CUR Currency
CUM Cumulative
DED Deductions
DEX Deposit Extract
DIS Discount Detail
DMA Additional Demographic Information
DMG Demographic Information
DN1 Orthodontic Information
DN2 Tooth Summary
DSB Disability Information
DTM Date/Time Reference
DTP Date or Time or Period
EB Eligibility or Benefit Information
EC Employment Class
EFI Electronic Format Identification
ENT Entity
EQ Eligibility or Benefit Inquiry
ETD Excess Transportation Detail
F9 Origin Station
FA1 Type of Financial Accounting Data
FA2 Accounting Data
FOB F.O.B. Related Instructions
FRM Supporting Documentation
FST Forecast Schedule
G01 Invoice Identification
G05 Total Shipment Information
G17 Item Detail - Invoice
G23 Terms of Sale
G25 F.O.B. Information
G26 Pricing Conditions
G31 Total Invoice Quantity
G33 Total Dollars Summary
G35 Delivery/Return Base Record Identifier
G36 Price List Reference Number
G39 Item Characteristics - Vendor's Selling Unit
G50 Purchase Order Identification
G61 Contact
G62 Date/Time
G66 Transportation Instructions
G68 Line Item Detail - Product
G69 Line Item Detail - Description
G72 Allowance or Charge
G76 Total Purchase Order
GE Functional Group Trailer
GF Furnished Goods and Services
GS Functional Group Header
H3 Special Handling Instructions
HCP Health Care Pricing
HCR Health Care Services Review
HD Health Coverage
HI Health Care Information Codes
HL Hierarchical Level
HLH Health Information
HSD Health Care Services Delivery
ICM Individual Income
IDC Identification Card
IEA Interchange Control Trailer
III Information
IK3 Error Identification
IK4 Implementation Data Element Note
IK5 Implementation Transaction Set Response Trailer
IMM Immunization Status
IN1 Individual Identification
IN2 Individual Name Structure Components
INC Installment Information
IND Additional Individual Demographic Information
INS Insured Benefit
INV Investment Vehicle Selection
ISA Interchange Control Header
ISR Item Status Report
ISS Invoice Shipment Summary
IT1 Baseline Item Data (Invoice)
IT3 Additional Item Data
IT8 Conditions of Sale
ITA Allowance, Charge or Service
ITD Terms of Sale/Deferred Terms of Sale
JIT Just-In-Time Schedule
K1 Remarks
K3 File Information
L0 Line Item - Quantity and Weight
L1 Rate and Charges
L10 Weight
L11 Business Instructions and Reference Number
L3 Total Weight and Charges
L4 Measurement
L5 Description, Marks and Numbers
L7 Tariff Reference
LCD Place/Location Description
LDT Lead Time
LE Loop Trailer
LH1 Hazardous Identification Information
LH2 Hazardous Classification Information
LEP EPA Required Data
LFH Freeform Hazardous Material Information
LH3 Hazardous Material Shipping Name Information
LH4 Canadian Dangerous Requirements
LH6 Hazardous Certification
LHE Empty Equipment Hazardous Material Information
LHR Hazardous Material Identifying Reference Numbers
LHT Transborder Hazardous Requirements
LIN Item Identification
LM Code Source Information
LOC Location
LQ Industry Code Identification
LS Loop Header
LUI Language Use
LX Transaction Set Line Number
M1 Insurance
M2 Sales/Delivery Terms
M7 Seal Numbers
MAN Marks and Numbers
MEA Measurements
MIA Medicare Inpatient Adjudication
MOA Medicare Outpatient Adjudication
MS1 Equipment, Shipment, or Real Property Location
MS2 Equipment or Container Owner and Type
MS3 Interline Information
MSG Message Text
MTX Text
N1 Party Identification
N10 Quantity and Description
N2 Additional Name Information
N3 Party Location
N4 Geographic Location
N7 Equipment Details
N9 Extended Reference Information
NM1 Individual or Organizational Name
NTE Note/Special Instruction
NX2 Location ID Component
OI Other Health Insurance Information
OID Order Information Detail
OTI Original Transaction Identification
P4 Port Information
PAL Pallet Type and Load Characteristics
PAM Period Amount
PAT Patient Information
PAY Payment Information
PCT Percent Amounts
PD Purchase Detail
PER Administrative Communications Contact
PI Price Authority Identification
PID Product/Item Description
PK Packing
PKG Marking, Packaging, Loading
PKL Multi-Pack Configuration
PLA Place or Location
PLB Provider Level Adjustment
PLD Pallet Information
PO1 Baseline Item Data
PO3 Additional Item Detail
PO4 Item Physical Details
POC Line Item Change
PRF Purchase Order Reference
PRV Provider Information
PS Protective Service Instructions
PS1 Purchase Service
PSD Physical Sample Description
PTD Product Transfer and Resale Detail
PWK Paperwork
QTY Quantity Information
R4 Port or Terminal
RCD Receiving Conditions
RDM Remittance Delivery Method
REF Reference Information
RDT Revision Date/Time
RMR Remittance Advice Accounts Receivable Open Item Reference
RTE Rate Information
S5 Stop-off Details
SAC Service, Promotion, Allowance, or Charge Information
SBR Subscriber Information
SCH Line Item Schedule
SCN Supplemental Carrier Name
SDP Ship/Delivery Pattern
SDQ Destination Quantity
SE Transaction Set Trailer
SHP Shipped/Received Information
SI Service Characteristic Identification
SII Sales Item Information
SLN Subline Item Detail
SN1 Item Detail (Shipment)
SPI Specification Identifier
ST Transaction Set Header
STC Status Information
SV1 Professional Service
SV2 Institutional Service
SV3 Dental Service
SV4 Drug Service
SV5 Durable Medical Equipment Service
SVC Service Information
SVD Service Line Adjudication
TA1 Interchange Acknowledgment
TAX Tax Reference
TC2 Commodity
TD1 Carrier Details (Quantity and Weight)
TD3 Carrier Details (Equipment)
TD4 Carrier Details (Special Handling, or Hazardous Materials, or Both)
TD5 Carrier Details (Routing Sequence/Transit Time)
TDS Total Monetary Value Summary
TED Technical Error Description
TOO Tooth Identification
TRN Trace
TS2 Transaction Supplemental Statistics
TS3 Transaction Statistics
TST Test Score Record
TXI Tax Information
UIT Unit Detail
UM Health Care Services Review Information
UWI Underwriting Information
V1 Vessel Identification
VEH Vehicle Information
VR Vendor Rating
W01 Line Item Detail - Warehouse
W03 Total Shipment Information
W04 Item Detail Total
W05 Shipping Order Identification
W06 Warehouse Shipment Identification
W07 Item Detail for Stock Receipt
W08 Receipt Carrier Information
W09 Equipment and Temperature
W12 Warehouse Item Detail
W13 Item Detail Exception
W14 Total Receipt Information
W15 Warehouse Adjustment Identification
W17 Warehouse Receipt Identification
W19 Warehouse Adjustment Item Detail
W20 Line Item Detail - Miscellaneous
W27 Carrier Detail
W66 Warehouse Carrier Information
W76 Total Shipping Order
XQ Reporting Date/Action
XPO Preassigned Purchase Order Numbers
YNQ Yes/No Question
ZA Product Activity Reporting
"""

TITLES = {tag: title for tag, _, title in (line.partition(" ") for line in _TITLES.strip().splitlines())}
