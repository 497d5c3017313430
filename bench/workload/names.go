package workload

import "strings"

// CategoryNames are the categories, the most used first.
var CategoryNames = strings.Fields(`
	music entertainment gaming sports news comedy education film people howto
	technology autos travel animals food fashion science business health nonprofit`)

// RegionNames are country codes (ISO 3166-1), roughly by how many people there
// watch videos.
var RegionNames = strings.Fields(`
	IN US BR ID MX JP PK DE VN PH TR GB FR TH BD EG KR IT ES CA AR CO IR RU NG
	PL UA ZA SA MA MY IQ DZ PE VE TW AU NL CL UZ KE ET RO GH TZ NP CN LK KZ EC
	GT MM TN CI CM SE BE SD AE CZ PT HU GR IL BY AT CH UG YE BO DO HN AO KH JO
	SN AZ BG HK RS DK FI SK SY LY PY NO SG SV NI IE AF CR MZ ZM ZW CD NZ HR LB
	KW OM GE PA BA UY KG LT TJ MD AL JM AM QA BJ BF ML NE TG MG RW LA LV SI MK
	PS MN MU BH EE TT GA NA BW CY PR GN SO TD MW SL LR MR CG HT PG BI ME LU MT
	IS FJ BN MV SR GY BB BS CV DJ GM GW LS SZ ER SS CF KM GQ BT TM TL MO RE GP
	MQ GF NC PF GU VI CW AW KY BM GI JE GG IM FO GL AD MC LI SM BZ LC VC GD AG
	DM KN ST SC SB VU WS TO KI FM MH PW NR TV CU AX AS MP TC VG AI MS SX BQ MF
	BL PM YT WF CK NU TK SH FK EH VA`)
