#include "names.h"

#include "base/attr.h"

/* clang-format off */
const char *const ad_sim_first_names[] = {
    "Brebuline", "Brenandel", "Brenwyn", "Briliandra", "Brumomir", "Brumyssa", "Czazovan",
    "Czebiandra", "Czongethis", "Czongomir", "Czumuline", "Czuromir", "Drongiandra", "Droriandra",
    "Druromir", "Drymiandra", "Fjaeomir", "Fjebethis", "Fjiskandel", "Fjiskyssa", "Fjongovan",
    "Fjulfiandra", "Gwarnandel", "Gwebovan", "Gweniandra", "Gwiluline", "Gwiskixa", "Gwulfomir",
    "Jhethandel", "Jhiskethis", "Jholaro", "Jhumovan", "Krolomir", "Krumixa", "Lhazuline",
    "Lhivwyn", "Lhophovan", "Nyilaro", "Nyiliandra", "Nyivovan", "Nyolethis", "Nyumwyn",
    "Nyyxiandra", "Phulfomir", "Quaeandel", "Quebyssa", "Quongwyn", "Quuryssa", "Quymixa",
    "Skebomir", "Skenuline", "Skophethis", "Skophovan", "Skumethis", "Skurixa", "Thrazaro",
    "Thrilomir", "Throphuline", "Throriandra", "Thrumixa", "Thryxandel", "Tzilixa", "Tzilovan",
    "Tzophandel", "Tzophyssa", "Tzoryssa", "Tzuruline", "Vlazomir", "Vlongovan", "Vloriandra",
    "Vlorovan", "Vluraro", "Vyoluline", "Vyulfyssa", "Vyurandel", "Vyuromir", "Wraeixa",
    "Wrebuline", "Wrebyssa", "Wruryssa", "Xaebixa", "Xaenuline", "Xaolandel", "Xaolovan",
    "Xaulfixa", "Xaurethis", "Ylazandel", "Ylenomir", "Ylenuline", "Ylethethis", "Ylorandel",
    "Ylumwyn", "Zvivovan", "Zvulfuline", "Zvumwyn", "Zvyxiandra",
};
const size_t ad_sim_first_names_n = AD_LEN(ad_sim_first_names);

const char *const ad_sim_last_names[] = {
    "Brethskjold", "Brilbrakken", "Brolbrakken", "Brolnthrop", "Brolwhistle", "Brorbrakken",
    "Brurmansk", "Czilnthrop", "Cziskskjold", "Czulfmansk", "Czulfvarga", "Czurquist",
    "Czurwhistle", "Czymdromane", "Czyxnthrop", "Drenbrakken", "Drilnthrop", "Drumquist",
    "Drymvarga", "Fjaeskjold", "Fjiskwhistle", "Fjivbrakken", "Fjymskjold", "Gwaenthrop",
    "Gwazbrakken", "Gwazvarga", "Gwethdromane", "Gwethtorvel", "Gwiskdromane", "Gwortorvel",
    "Gwumvarga", "Gwurdromane", "Gwurvarga", "Gwyxnthrop", "Jhenbrakken", "Jhethquist",
    "Jhilbrakken", "Jhurdromane", "Jhymquist", "Krazvarga", "Krennthrop", "Krethmansk",
    "Krethwhistle", "Krongwhistle", "Krummansk", "Krumvarga", "Lhaemansk", "Lharnbrakken",
    "Lhazholvik", "Lhiskbrakken", "Lhorwhistle", "Lhulfmansk", "Lhumdromane", "Lhumquist",
    "Nyaztorvel", "Nyebvarga", "Nyivholvik", "Nyulfwhistle", "Nyymdromane", "Phebtorvel",
    "Phulfvarga", "Phyxholvik", "Quaemansk", "Quolwhistle", "Quongquist", "Quophholvik",
    "Quornthrop", "Quorwhistle", "Quulfholvik", "Quulfskjold", "Quumholvik", "Quumtorvel",
    "Skiskskjold", "Skolwhistle", "Skongmansk", "Skongwhistle", "Skulfbrakken", "Skulfwhistle",
    "Skurdromane", "Skymvarga", "Thrumdromane", "Thryxmansk", "Tzarntorvel", "Tzorskjold",
    "Tzurdromane", "Tzymvarga", "Vlarnwhistle", "Vlolwhistle", "Vlongdromane", "Vlophholvik",
    "Vlumholvik", "Vlumvarga", "Vlurwhistle", "Vlyxwhistle", "Vyebskjold", "Vyebwhistle",
    "Vyethquist", "Vyethvarga", "Vyethwhistle", "Vyymnthrop", "Vyyxbrakken", "Wrarnskjold",
    "Wrebmansk", "Wrethwhistle", "Wrilquist", "Wrivwhistle", "Wrorwhistle", "Wryxvarga",
    "Xaarnbrakken", "Xaarnnthrop", "Xaaznthrop", "Xaiskquist", "Xaolskjold", "Xaongnthrop",
    "Xaophmansk", "Xaorbrakken", "Xaulftorvel", "Ylongnthrop", "Ylophvarga", "Ylormansk",
    "Ylorskjold", "Ylyxtorvel", "Zvilwhistle", "Zvoltorvel", "Zvophtorvel", "Zvulfskjold",
    "Zvymvarga", "Zvyxquist",
};
const size_t ad_sim_last_names_n = AD_LEN(ad_sim_last_names);
/* clang-format on */
