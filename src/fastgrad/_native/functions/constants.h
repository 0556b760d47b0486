/* Written by tools/ops/constants.py: edit that, then run it. */
#ifndef FASTGRAD_CONSTANTS_H
#define FASTGRAD_CONSTANTS_H

#include <stdint.h>

/* e^x = 2^k 2^(j/128) e^r, -64 <= j < 64, |r| <= log(2)/256; a row for each j + 64. */
#define FG_LOG2E_N 0x1.71547652b82fep+7
#define FG_LN2_N_A 0x1.62e42fee00000p-8
#define FG_LN2_N_B 0x1.a39ef35793c76p-40
#define FG_LN2 0x1.62e42fefa39efp-1
#define FG_EXP_0 0x1.ffffffffffd5fp-2
#define FG_EXP_1 0x1.5555555555495p-3
#define FG_EXP_2 0x1.55555d88e27efp-5
#define FG_EXP_3 0x1.111115c0cf6f5p-7
static const uint64_t fg_exp_table[128][2] = {
    {0x3fe6a09e667f3bcd, 0xbc8bdd3413b26456},
    {0x3fe6c012750bdabf, 0xbc62895667ff0b0d},
    {0x3fe6dfb23c651a2f, 0xbc5bbe3a683c88ab},
    {0x3fe6ff7df9519484, 0xbc783c0f25860ef6},
    {0x3fe71f75e8ec5f74, 0xbc716e4786887a99},
    {0x3fe73f9a48a58174, 0xbc80a8d96c65d53c},
    {0x3fe75feb564267c9, 0xbc80245957316dd3},
    {0x3fe780694fde5d3f, 0x3c8866b80a02162d},
    {0x3fe7a11473eb0187, 0xbc741577ee04992f},
    {0x3fe7c1ed0130c132, 0x3c8f124cd1164dd6},
    {0x3fe7e2f336cf4e62, 0x3c605d02ba15797e},
    {0x3fe80427543e1a12, 0xbc827c86626d972b},
    {0x3fe82589994cce13, 0xbc8d4c1dd41532d8},
    {0x3fe8471a4623c7ad, 0xbc78d684a341cdfb},
    {0x3fe868d99b4492ed, 0xbc8fc6f89bd4f6ba},
    {0x3fe88ac7d98a6699, 0x3c8994c2f37cb53a},
    {0x3fe8ace5422aa0db, 0x3c86e9f156864b27},
    {0x3fe8cf3216b5448c, 0xbc60d55e32e9e3aa},
    {0x3fe8f1ae99157736, 0x3c75cc13a2e3976c},
    {0x3fe9145b0b91ffc6, 0xbc8dd6792e582524},
    {0x3fe93737b0cdc5e5, 0xbc575fc781b57ebc},
    {0x3fe95a44cbc8520f, 0xbc664b7c96a5f039},
    {0x3fe97d829fde4e50, 0xbc8d185b7c1b85d1},
    {0x3fe9a0f170ca07ba, 0xbc8173bd91cee632},
    {0x3fe9c49182a3f090, 0x3c6c7c46b071f2be},
    {0x3fe9e86319e32323, 0x3c6824ca78e64c6e},
    {0x3fea0c667b5de565, 0xbc8359495d1cd533},
    {0x3fea309bec4a2d33, 0x3c86305c7ddc36ab},
    {0x3fea5503b23e255d, 0xbc8d2f6edb8d41e1},
    {0x3fea799e1330b358, 0x3c8bcb7ecac563c7},
    {0x3fea9e6b5579fdbf, 0x3c80fac90ef7fd31},
    {0x3feac36bbfd3f37a, 0xbc7f9234cae76cd0},
    {0x3feae89f995ad3ad, 0x3c87a1cd345dcc81},
    {0x3feb0e07298db666, 0xbc8bdef54c80e425},
    {0x3feb33a2b84f15fb, 0xbc52805e3084d708},
    {0x3feb59728de5593a, 0xbc8c71dfbbba6de3},
    {0x3feb7f76f2fb5e47, 0xbc65584f7e54ac3b},
    {0x3feba5b030a1064a, 0xbc8efcd30e54292e},
    {0x3febcc1e904bc1d2, 0x3c723dd07a2d9e84},
    {0x3febf2c25bd71e09, 0xbc8efdca3f6b9c73},
    {0x3fec199bdd85529c, 0x3c711065895048dd},
    {0x3fec40ab5fffd07a, 0x3c8b4537e083c60a},
    {0x3fec67f12e57d14b, 0x3c82884dff483cad},
    {0x3fec8f6d9406e7b5, 0x3c61acbc48805c44},
    {0x3fecb720dcef9069, 0x3c6503cbd1e949db},
    {0x3fecdf0b555dc3fa, 0xbc7dd83b53829d72},
    {0x3fed072d4a07897c, 0xbc8cbc3743797a9c},
    {0x3fed2f87080d89f2, 0xbc8d487b719d8578},
    {0x3fed5818dcfba487, 0x3c72ed02d75b3707},
    {0x3fed80e316c98398, 0xbc811ec18beddfe8},
    {0x3feda9e603db3285, 0x3c8c2300696db532},
    {0x3fedd321f301b460, 0x3c82da5778f018c3},
    {0x3fedfc97337b9b5f, 0xbc81a5cd4f184b5c},
    {0x3fee264614f5a129, 0xbc87b627817a1496},
    {0x3fee502ee78b3ff6, 0x3c739e8980a9cc8f},
    {0x3fee7a51fbc74c83, 0x3c82d522ca0c8de2},
    {0x3feea4afa2a490da, 0xbc8e9c23179c2893},
    {0x3feecf482d8e67f1, 0xbc8c93f3b411ad8c},
    {0x3feefa1bee615a27, 0x3c8dc7f486a4b6b0},
    {0x3fef252b376bba97, 0x3c83a1a5bf0d8e43},
    {0x3fef50765b6e4540, 0x3c89d3e12dd8a18b},
    {0x3fef7bfdad9cbe14, 0xbc8dbb12d006350a},
    {0x3fefa7c1819e90d8, 0x3c774853f3a5931e},
    {0x3fefd3c22b8f71f1, 0x3c52eb74966579e7},
    {0x3ff0000000000000, 0x0000000000000000},
    {0x3ff0163da9fb3335, 0x3c9b61299ab8cdb7},
    {0x3ff02c9a3e778061, 0xbc719083535b085d},
    {0x3ff04315e86e7f85, 0xbc90a31c1977c96e},
    {0x3ff059b0d3158574, 0x3c8d73e2a475b465},
    {0x3ff0706b29ddf6de, 0xbc8c91dfe2b13c27},
    {0x3ff0874518759bc8, 0x3c6186be4bb284ff},
    {0x3ff09e3ecac6f383, 0x3c91487818316136},
    {0x3ff0b5586cf9890f, 0x3c98a62e4adc610b},
    {0x3ff0cc922b7247f7, 0x3c901edc16e24f71},
    {0x3ff0e3ec32d3d1a2, 0x3c403a1727c57b53},
    {0x3ff0fb66affed31b, 0xbc6b9bedc44ebd7b},
    {0x3ff11301d0125b51, 0xbc96c51039449b3a},
    {0x3ff12abdc06c31cc, 0xbc51b514b36ca5c7},
    {0x3ff1429aaea92de0, 0xbc932fbf9af1369e},
    {0x3ff15a98c8a58e51, 0x3c82406ab9eeab0a},
    {0x3ff172b83c7d517b, 0xbc819041b9d78a76},
    {0x3ff18af9388c8dea, 0xbc911023d1970f6c},
    {0x3ff1a35beb6fcb75, 0x3c8e5b4c7b4968e4},
    {0x3ff1bbe084045cd4, 0xbc995386352ef607},
    {0x3ff1d4873168b9aa, 0x3c9e016e00a2643c},
    {0x3ff1ed5022fcd91d, 0xbc91df98027bb78c},
    {0x3ff2063b88628cd6, 0x3c8dc775814a8495},
    {0x3ff21f49917ddc96, 0x3c82a97e9494a5ee},
    {0x3ff2387a6e756238, 0x3c99b07eb6c70573},
    {0x3ff251ce4fb2a63f, 0x3c8ac155bef4f4a4},
    {0x3ff26b4565e27cdd, 0x3c82bd339940e9d9},
    {0x3ff284dfe1f56381, 0xbc9a4c3a8c3f0d7e},
    {0x3ff29e9df51fdee1, 0x3c8612e8afad1255},
    {0x3ff2b87fd0dad990, 0xbc410adcd6381aa4},
    {0x3ff2d285a6e4030b, 0x3c90024754db41d5},
    {0x3ff2ecafa93e2f56, 0x3c71ca0f45d52383},
    {0x3ff306fe0a31b715, 0x3c86f46ad23182e4},
    {0x3ff32170fc4cd831, 0x3c8a9ce78e18047c},
    {0x3ff33c08b26416ff, 0x3c932721843659a6},
    {0x3ff356c55f929ff1, 0xbc8b5cee5c4e4628},
    {0x3ff371a7373aa9cb, 0xbc963aeabf42eae2},
    {0x3ff38cae6d05d866, 0xbc9e958d3c9904bd},
    {0x3ff3a7db34e59ff7, 0xbc75e436d661f5e3},
    {0x3ff3c32dc313a8e5, 0xbc9efff8375d29c3},
    {0x3ff3dea64c123422, 0x3c8ada0911f09ebc},
    {0x3ff3fa4504ac801c, 0xbc97d023f956f9f3},
    {0x3ff4160a21f72e2a, 0xbc5ef3691c309278},
    {0x3ff431f5d950a897, 0xbc81c7dde35f7999},
    {0x3ff44e086061892d, 0x3c489b7a04ef80d0},
    {0x3ff46a41ed1d0057, 0x3c9c944bd1648a76},
    {0x3ff486a2b5c13cd0, 0x3c73c1a3b69062f0},
    {0x3ff4a32af0d7d3de, 0x3c99cb62f3d1be56},
    {0x3ff4bfdad5362a27, 0x3c7d4397afec42e2},
    {0x3ff4dcb299fddd0d, 0x3c98ecdbbc6a7833},
    {0x3ff4f9b2769d2ca7, 0xbc94b309d25957e3},
    {0x3ff516daa2cf6642, 0xbc8f768569bd93ef},
    {0x3ff5342b569d4f82, 0xbc807abe1db13cad},
    {0x3ff551a4ca5d920f, 0xbc8d689cefede59b},
    {0x3ff56f4736b527da, 0x3c99bb2c011d93ad},
    {0x3ff58d12d497c7fd, 0x3c8295e15b9a1de8},
    {0x3ff5ab07dd485429, 0x3c96324c054647ad},
    {0x3ff5c9268a5946b7, 0x3c3c4b1b816986a2},
    {0x3ff5e76f15ad2148, 0x3c9ba6f93080e65e},
    {0x3ff605e1b976dc09, 0xbc93e2429b56de47},
    {0x3ff6247eb03a5585, 0xbc9383c17e40b497},
    {0x3ff6434634ccc320, 0xbc8c483c759d8933},
    {0x3ff6623882552225, 0xbc9bb60987591c34},
    {0x3ff68155d44ca973, 0x3c6038ae44f73e65},
};

/* log(2^k m), m in [sqrt(1/2), sqrt(2)), a row for each 7 bits of m. */
#define FG_LN2_A 0x1.62e42fee00000p-1
#define FG_LN2_B 0x1.a39ef35793c76p-33
#define FG_LOG2E 0x1.71547652b82fep+0
#define FG_LOG2E_LO 0x1.777d0ffda0d24p-56
#define FG_LOG10E 0x1.bcb7b1526e50ep-2
#define FG_LOG10E_LO 0x1.95355baaafad3p-57
#define FG_LOG10_2_A 0x1.3441350800000p-2
#define FG_LOG10_2_B 0x1.f79fef311f12bp-34
#define FG_LOG_START 0x3fe6a00000000000u
static const uint64_t fg_log_table[128][2] = {
    {0x3ff6928e40000000, 0xbfd6066fda321502},
    {0x3ff6730f00000000, 0xbfd5ace3802f22d3},
    {0x3ff650fc20000000, 0xbfd54b75e254bd2a},
    {0x3ff6323740000000, 0xbfd4f2fb1d446226},
    {0x3ff61620e0000000, 0xbfd4a1cb1abfefad},
    {0x3ff5f77440000000, 0xbfd448aa8fa6558d},
    {0x3ff5d89700000000, 0xbfd3ee7ec52bcd7b},
    {0x3ff5ba5e60000000, 0xbfd395b829ffc850},
    {0x3ff59dbce0000000, 0xbfd3412b4fb875dd},
    {0x3ff5810d20000000, 0xbfd2ec03c5104118},
    {0x3ff563f980000000, 0xbfd2953f857bcf86},
    {0x3ff5479f20000000, 0xbfd24032335024e2},
    {0x3ff52b6b80000000, 0xbfd1eb2869452986},
    {0x3ff50eaea0000000, 0xbfd1940bea0c85ef},
    {0x3ff4f31a40000000, 0xbfd140021ace2a95},
    {0x3ff4d8f400000000, 0xbfd0efed7fc7ceb4},
    {0x3ff4bcee20000000, 0xbfd099ac47c1bf5f},
    {0x3ff4a2d960000000, 0xbfd048fc3e41e1b1},
    {0x3ff4888120000000, 0xbfcfee272e4bfe5f},
    {0x3ff46d5a40000000, 0xbfcf4474843ff1b3},
    {0x3ff452cc80000000, 0xbfce9da4291b526a},
    {0x3ff4397480000000, 0xbfcdfda1eca02f39},
    {0x3ff4200520000000, 0xbfcd5c4203f0f2de},
    {0x3ff4081ac0000000, 0xbfccc3cbae78eead},
    {0x3ff3edae40000000, 0xbfcc1a838e3ad2c3},
    {0x3ff3d63400000000, 0xbfcb835ebb85f26c},
    {0x3ff3bc5300000000, 0xbfcadbf474ad64e2},
    {0x3ff3a42c00000000, 0xbfca3eef0afbc70c},
    {0x3ff38bbd20000000, 0xbfc99f5167b949d3},
    {0x3ff375f1c0000000, 0xbfc91047ee2560e8},
    {0x3ff35dc9c0000000, 0xbfc87102a84d43c0},
    {0x3ff3474b60000000, 0xbfc7dc00a89959ca},
    {0x3ff330d060000000, 0xbfc74666ea1d65ed},
    {0x3ff31736a0000000, 0xbfc69b33bcb2c1f4},
    {0x3ff300e340000000, 0xbfc6052b3f6bf5be},
    {0x3ff2ea4680000000, 0xbfc56c8192455a7e},
    {0x3ff2d64300000000, 0xbfc4e4caa86fdff0},
    {0x3ff2bdacc0000000, 0xbfc43d4addfa391f},
    {0x3ff2a9c740000000, 0xbfc3b51e0d6e8057},
    {0x3ff2927020000000, 0xbfc314a5b9687fa8},
    {0x3ff27f09a0000000, 0xbfc28eaa25b9b1ea},
    {0x3ff2682ec0000000, 0xbfc1f01e27f2b1ee},
    {0x3ff2547a40000000, 0xbfc166cdb50614d8},
    {0x3ff2401820000000, 0xbfc0d827b0fb0564},
    {0x3ff22b5e40000000, 0xbfc04677d8fc40b5},
    {0x3ff214b260000000, 0xbfbf4cb95fee99a0},
    {0x3ff2012700000000, 0xbfbe376a761d524c},
    {0x3ff1ec1e80000000, 0xbfbd0baad5098e9b},
    {0x3ff1d795e0000000, 0xbfbbe5b5799d6a74},
    {0x3ff1c47e20000000, 0xbfbad330c050ec05},
    {0x3ff1b018a0000000, 0xbfb9aca6ae16eaa0},
    {0x3ff19d4ac0000000, 0xbfb89bed7afec76d},
    {0x3ff18aa880000000, 0xbfb78c8d3222cbc7},
    {0x3ff178a6e0000000, 0xbfb6853dc753ff58},
    {0x3ff163bc80000000, 0xbfb5520e38f9916f},
    {0x3ff15070c0000000, 0xbfb4355fe5841326},
    {0x3ff13e9320000000, 0xbfb32cafc17bd590},
    {0x3ff12cd640000000, 0xbfb224d4fd02143c},
    {0x3ff11ad8e0000000, 0xbfb11823dc1a7846},
    {0x3ff1096620000000, 0xbfb0127ab784118d},
    {0x3ff0f63440000000, 0xbfade2d4173dae9c},
    {0x3ff0e46e80000000, 0xbfabc9415e613b95},
    {0x3ff0d1dc40000000, 0xbfa995276b2961c5},
    {0x3ff0c02980000000, 0xbfa7794d799ccdeb},
    {0x3ff0ae9480000000, 0xbfa55ec90dc27d89},
    {0x3ff09de960000000, 0xbfa35e32d7f290a1},
    {0x3ff08b6260000000, 0xbfa12215d1eec597},
    {0x3ff07b7980000000, 0xbf9e699b4da28a18},
    {0x3ff06b7c60000000, 0xbf9a866207a26ccb},
    {0x3ff0589460000000, 0xbf95e8a9f3636d5b},
    {0x3ff04877c0000000, 0xbf91f5631b323fd6},
    {0x3ff0387360000000, 0xbf8c08593331066e},
    {0x3ff029ad60000000, 0xbf84bbbacd8297f0},
    {0x3ff0172680000000, 0xbf7715d08ff8d214},
    {0x3ff0000000000000, 0x0000000000000000},
    {0x3ff0000000000000, 0x0000000000000000},
    {0x3fefa39780000000, 0x3f873bbc0a928326},
    {0x3fef6174c0000000, 0x3f940324a3cdb506},
    {0x3fef262000000000, 0x3f9b9a642b46b063},
    {0x3feee9d240000000, 0x3fa1b02f45402912},
    {0x3feeadf980000000, 0x3fa593283b23d177},
    {0x3fee760fc0000000, 0x3fa93b9b517ef6ef},
    {0x3fee396200000000, 0x3fad3b800fa75336},
    {0x3fee003600000000, 0x3fb083cbea70239a},
    {0x3fedca3b40000000, 0x3fb2520902e51ecf},
    {0x3fed907a40000000, 0x3fb4443b68f565d6},
    {0x3fed5d1740000000, 0x3fb602b5f9d3182c},
    {0x3fed28f980000000, 0x3fb7caa7fe696287},
    {0x3fecf46340000000, 0x3fb999f51dcee0ef},
    {0x3fecbe8380000000, 0x3fbb7804fffb5383},
    {0x3fec8c1b40000000, 0x3fbd3a7f953a13ea},
    {0x3fec573d40000000, 0x3fbf164fdf8797ae},
    {0x3fec288840000000, 0x3fc05ec9d495d699},
    {0x3febf7ca80000000, 0x3fc13d1adeeb8f5c},
    {0x3febc70d40000000, 0x3fc21cee605a4c84},
    {0x3feb947340000000, 0x3fc306f04d7e22e9},
    {0x3feb68bdc0000000, 0x3fc3d26ce5c655a6},
    {0x3feb3901c0000000, 0x3fc4b21afa5e5bb3},
    {0x3feb0b5c80000000, 0x3fc5896f4b6541c8},
    {0x3fead9cf80000000, 0x3fc674ccc8668a5a},
    {0x3feaadea00000000, 0x3fc746ba9e62d44b},
    {0x3fea834e00000000, 0x3fc813cc0d16300d},
    {0x3fea55b000000000, 0x3fc8f0c5d87d3411},
    {0x3fea2d0000000000, 0x3fc9b7223f1f3117},
    {0x3fea035d40000000, 0x3fca835e4ec4325d},
    {0x3fe9d625c0000000, 0x3fcb629ed8df2e9c},
    {0x3fe9b0ee80000000, 0x3fcc1b845086af42},
    {0x3fe9847740000000, 0x3fccf9cf3e01d741},
    {0x3fe95bffc0000000, 0x3fcdc56df14e7f56},
    {0x3fe9356600000000, 0x3fce88d864ace186},
    {0x3fe90c3cc0000000, 0x3fcf5a840f4627f5},
    {0x3fe8e80ac0000000, 0x3fd00a00cb401c56},
    {0x3fe8beb880000000, 0x3fd07487549361de},
    {0x3fe89af600000000, 0x3fd0d1476f53ffdd},
    {0x3fe874b080000000, 0x3fd13521177c8307},
    {0x3fe84ded80000000, 0x3fd19ae1f2dbbd02},
    {0x3fe8277c80000000, 0x3fd2006c5184499e},
    {0x3fe805bac0000000, 0x3fd25a1c8e75068c},
    {0x3fe7e1ec00000000, 0x3fd2b9c9d370ec60},
    {0x3fe7c0e700000000, 0x3fd3128371b114d1},
    {0x3fe79bfa00000000, 0x3fd3764ea82b6fce},
    {0x3fe779b480000000, 0x3fd3d3798780adca},
    {0x3fe754bd00000000, 0x3fd4389123777fec},
    {0x3fe7348040000000, 0x3fd4913cd2b05c96},
    {0x3fe715f8c0000000, 0x3fd4e5a7ae18136e},
    {0x3fe6f2e4c0000000, 0x3fd54730c85b4765},
    {0x3fe6cf5600000000, 0x3fd5aaa7d1274d0f},
    {0x3fe6ae6bc0000000, 0x3fd607450fb949b4},
};
static const uint64_t fg_log_tails[128][1] = {
    {0xbb9b4061db5743ee},
    {0x3be27f66cd140048},
    {0x3b634fe1b126cdc7},
    {0x3bcf89412ef17419},
    {0x3bb8e843f037bc3e},
    {0xbb89cb11289bb25f},
    {0xbb71e9762d7c03a1},
    {0xbb9a0aee385f4d2a},
    {0x3babb1585eaf8dba},
    {0xbb8f0c74476c903a},
    {0xbbb5f7447bba1788},
    {0xbbab49390c2a7391},
    {0xbbc49c52b0e9fa83},
    {0xbbb65b5add4d3a73},
    {0x3bb2ec647dfac4b2},
    {0xbbb3446ea7a8a0bb},
    {0x3b924aeaaef5eb3b},
    {0x3b8ae38c7529b758},
    {0xbb8a566ea5745dad},
    {0xbba9314ff59f3c02},
    {0x3b7cc4b66430ee37},
    {0xbbaad53d4c0bd610},
    {0xbbb031477cb8946e},
    {0x3b72b2c580ee239d},
    {0xbba8aeaa4c33d56a},
    {0xbb813c0a829de2ce},
    {0xbb90161e0bc2c7ce},
    {0x3babc74621fe256f},
    {0x3b3ff5d2bb7f6b87},
    {0xbba078a0a4d0282f},
    {0xbb78a89653fb1c15},
    {0x3bb2bf06e0f5d4d1},
    {0x3bb352d478cd85f1},
    {0xbb7be5a965dffce3},
    {0x3b9bedd5ff0331ca},
    {0x3b8e451d9ae19538},
    {0xbb9e821308922867},
    {0x3ba8749460c765c2},
    {0xbba3c7bd391a36d5},
    {0x3b7dbcbfbae863c0},
    {0x3b81e5263f9bd30e},
    {0x3b89612ce5df4dba},
    {0x3bc081e89c6ba987},
    {0xbbab1aa86ac53602},
    {0xbb95904c341067e1},
    {0xbbab20b858b89f49},
    {0x3b7ac604f8c8a08a},
    {0xbb7490d5cb4701d0},
    {0x3b823d687f0c756d},
    {0xbb713ecf8d1883e9},
    {0x3b7b5d5460827ff0},
    {0xbba7896b259e090f},
    {0xbb81baabe2628d30},
    {0x3b64fc3c1d2eaf25},
    {0x3bb037ddf6c91743},
    {0x3b8d292c0bbfba0e},
    {0xbb6c3de2b5d46e79},
    {0x3b7f2f432b7c730e},
    {0xbb9a716d0ef336b9},
    {0x3b67d7798a3cc595},
    {0x3b5aed5882f52f16},
    {0xbb742144183a3dd6},
    {0x3b6192bdd61c0611},
    {0x3b78c0c748298d81},
    {0xbb50cd9e14f2a29c},
    {0x3b67e16c357473c6},
    {0xbb52dced583b9db9},
    {0xbb387d509f13ce41},
    {0xbb480886627a976e},
    {0xbb936578bdf69da9},
    {0x3b501797646dfa0a},
    {0x3b65706c4951bbb9},
    {0xbb483f777215ce72},
    {0xbb2bdcd512e5e4d3},
    {0x0000000000000000},
    {0x0000000000000000},
    {0xbb5fca278eaa1fbb},
    {0x3b8bacf97d29c977},
    {0x3b7038d76ad0c34c},
    {0x3b5e1e8516426eb9},
    {0xbb80c3884d641630},
    {0xbb781e9421d37e93},
    {0xbb77e04585b3e19b},
    {0x3b4e809559eff2ed},
    {0x3b9f3cbffdde21ed},
    {0xbb803d7e39ce9e75},
    {0xbba9430f03d6bca3},
    {0xbb60ee2a6c3abb3d},
    {0x3b66a381c9be9dd7},
    {0x3b88b38943e54305},
    {0x3baf25bfd24471be},
    {0x3b961d7a0dad10a3},
    {0x3b5b46c84cdb48fa},
    {0xbb923355c0c4891f},
    {0xbbc0262e7417fd1a},
    {0x3bb836a9789ec8d5},
    {0x3b87f93914e7b930},
    {0x3b72a62e632d9dfe},
    {0x3ba6d7d6ad90d4ac},
    {0x3bc333f37c7fcf12},
    {0xbb8d54ffbc8e85cd},
    {0xbb7d1ef76c5c7524},
    {0xbb93419204b02a10},
    {0xbbaa7f3856af372a},
    {0xbb94c5e857af5a83},
    {0x3ba2a1a4a9d1581f},
    {0x3b894106bfb75380},
    {0xbb55b52c3cf621a5},
    {0xbbb3ad76301e9cc4},
    {0x3b7d5a218daa895c},
    {0xbb94d32c991aa797},
    {0xbb9e5d04ba0a57d3},
    {0xbb7a563bed512743},
    {0x3ba5215de14e14a1},
    {0xbba364920324cfd1},
    {0x3bbecbe333fc1840},
    {0xbbbb5db26e72756e},
    {0xbbb1d61e40ae8af5},
    {0xbbb9c36cf7748c4b},
    {0xbbabc9f674e40d38},
    {0x3ba6b49d3f579a73},
    {0xbbaa0ada7d4313b9},
    {0xbbc48e6f9d8825cf},
    {0xbbbe45098bb3bd38},
    {0x3bbb5a1d02bd6c75},
    {0xbba8c9acd6c4f035},
    {0x3bc40d5ce8e64e40},
    {0xbbb2dc2b1c58cfd5},
};
#define FG_LOG_0 0x1.55555555555bfp-2
#define FG_LOG_1 -0x1.fffffff7c41dcp-3
#define FG_LOG_2 0x1.99999986de502p-3
#define FG_LOG_3 -0x1.555b4984b7161p-3
#define FG_LOG_4 0x1.2499b2beee420p-3
#define FG_POW_0 0x1.55555555555abp-2
#define FG_POW_1 -0x1.000000000004dp-2
#define FG_POW_2 0x1.99999988b5a5ap-3
#define FG_POW_3 -0x1.5555554621c4dp-3
#define FG_POW_4 0x1.249965b70fa99p-3
#define FG_POW_5 -0x1.0006668466e42p-3

/* exp(t^2/2) Phi(-t) = G(s) / (t + 2), s = (t - 2) / (t + 2); after Shepherd, Laframboise. */
#define FG_NORMAL_0 0x1.5845dcad2a54ep-1
#define FG_NORMAL_0_LO 0x1.a847580cdb4e7p-55
#define FG_NORMAL_1 -0x1.535bb00000000p-2
#define FG_NORMAL_1_LO 0x1.630e9eca6e533p-28
#define FG_NORMAL_2 0x1.d7d0e2393eda6p-6
#define FG_NORMAL_2_LO -0x1.51dbc36eb8a47p-60
#define FG_NORMAL_3 0x1.2ccbfbf0c6808p-5
#define FG_NORMAL_4 -0x1.ec6870bca527cp-12
#define FG_NORMAL_5 -0x1.b8b937f7fbf54p-8
#define FG_NORMAL_6 -0x1.ff79b9d6a96c7p-10
#define FG_NORMAL_7 0x1.9ba0c655c652ep-11
#define FG_NORMAL_8 0x1.b1b0c2f724aefp-11
#define FG_NORMAL_9 0x1.b217dc16c9cb5p-13
#define FG_NORMAL_10 -0x1.e53fe263ad5b0p-14
#define FG_NORMAL_11 -0x1.0d97e941c7d1cp-13
#define FG_NORMAL_12 -0x1.825de290c6f86p-15
#define FG_NORMAL_13 0x1.44e40aa7ccdcdp-17
#define FG_NORMAL_14 0x1.6c74418e43069p-16
#define FG_NORMAL_15 0x1.a5bfc0f2393c1p-17
#define FG_NORMAL_16 0x1.0837f419c94c6p-19
#define FG_NORMAL_17 -0x1.7ed6240f7374cp-19
#define FG_NORMAL_18 -0x1.7c95d0be4531dp-19
#define FG_NORMAL_19 -0x1.6b33ff6af9e6cp-20
#define FG_NORMAL_20 -0x1.7d3374347abf4p-22
#define FG_NORMAL_21 0x1.36f616f031a31p-22
#define FG_NORMAL_22 0x1.7d4facc80a5d1p-21
#define FG_NORMAL_23 0x1.df73d5a6ca80ap-22
#define FG_NORMAL_24 -0x1.1ef0743f3c25dp-23
#define FG_NORMAL_25 -0x1.11dab77339111p-22
#define FG_NORMAL_26 -0x1.861ff947aeea4p-25
#define FG_NORMAL_27 0x1.76d3fd9dba347p-25
#define FG_NORMAL_28 0x1.0d6c6c5ebc700p-26
#define FG_ERFC_0 0x1.edf487f74041cp-1
#define FG_ERFC_0_LO 0x1.e4e20142157f5p-55
#define FG_ERFC_1 -0x1.0404eb0000000p-1
#define FG_ERFC_1_LO 0x1.764edc36b195fp-27
#define FG_ERFC_2 0x1.35bf360d085d5p-4
#define FG_ERFC_2_LO 0x1.a121f8312ff9ep-58
#define FG_ERFC_3 0x1.87518828aa8cbp-5
#define FG_ERFC_4 -0x1.0a11cd2ec898ap-7
#define FG_ERFC_5 -0x1.3607c39e0bec6p-7
#define FG_ERFC_6 -0x1.a8d6e547c8f4ep-11
#define FG_ERFC_7 0x1.d07c9e76e8febp-10
#define FG_ERFC_8 0x1.cf90195b38a54p-11
#define FG_ERFC_9 -0x1.84380ecd23acbp-15
#define FG_ERFC_10 -0x1.0d4e02563035ap-12
#define FG_ERFC_11 -0x1.08fabe6b3b798p-13
#define FG_ERFC_12 0x1.dde7e0d84a1fdp-21
#define FG_ERFC_13 0x1.42e17eb763091p-15
#define FG_ERFC_14 0x1.a17568b737d2cp-16
#define FG_ERFC_15 0x1.459a424d610cep-18
#define FG_ERFC_16 -0x1.7094fd26d5495p-18
#define FG_ERFC_17 -0x1.8b62cb508bfe3p-18
#define FG_ERFC_18 -0x1.b5c4b8e541ddap-23
#define FG_ERFC_19 0x1.0b70b83bf5510p-22
#define FG_ERFC_20 -0x1.85691a12a3100p-19
#define FG_ERFC_21 0x1.aabf74c7f0195p-19
#define FG_ERFC_22 0x1.5ebbeafcbc9c3p-19
#define FG_ERFC_23 -0x1.e0f97353c8610p-19
#define FG_ERFC_24 0x1.079add283b995p-20
#define FG_ERF_0 -0x1.812746b0379e7p-2
#define FG_ERF_1 0x1.ce2f21a042b4cp-4
#define FG_ERF_2 -0x1.b82ce3127fa4bp-6
#define FG_ERF_3 0x1.565bcd0a643fcp-8
#define FG_ERF_4 -0x1.c02db20cfc7b6p-11
#define FG_ERF_5 0x1.f9a297cd97953p-14
#define FG_ERF_6 -0x1.f4b95d7257a9ep-17
#define FG_ERF_7 0x1.b7491c6d9aed3p-20
#define FG_ERF_8 -0x1.3891c1a4fc056p-23
#define FG_ERF_HEAD 0x1.06eba8214db69p-3
#define FG_ERF_MIDDLE 0x1.7573cf2e58377p-7
#define FG_ERF_SLOPE -0x1.3aa812afefa55p-2
#define FG_ERF_WIDE_0 0x1.6a8c12b83145dp-4
#define FG_ERF_WIDE_1 -0x1.518c140f78cc0p-6
#define FG_ERF_WIDE_2 0x1.02c849d1ebe2ap-8
#define FG_ERF_WIDE_3 -0x1.4f6a7603c970ap-11
#define FG_ERF_WIDE_4 0x1.77ac6ebaf7fc6p-14
#define FG_ERF_WIDE_5 -0x1.7208fad46d520p-17
#define FG_ERF_WIDE_6 0x1.45135665187dcp-20
#define FG_ERF_WIDE_7 -0x1.01a319ff3bc0ep-23
#define FG_ERF_WIDE_8 0x1.74521ef4742c8p-27
#define FG_ERF_WIDE_9 -0x1.e8fe0aa9fdf11p-31
#define FG_ERF_WIDE_10 0x1.818288b8f4331p-35
#define FG_ERF_UPPER_0 0x1.0dd50785280a5p+0
#define FG_ERF_UPPER_1 -0x1.9bfb53c4039d9p-1
#define FG_ERF_UPPER_2 0x1.d0cedcb8c910cp-2
#define FG_ERF_UPPER_3 -0x1.5eb8eba1df311p-3
#define FG_ERF_UPPER_4 0x1.d0acf691a8c1dp-6
#define FG_ERF_UPPER_5 0x1.1305f56257581p-7
#define FG_ERF_UPPER_6 -0x1.3bcdce0dc5182p-8
#define FG_ERF_UPPER_7 -0x1.cc8b059a2faf3p-12
#define FG_ERF_UPPER_8 0x1.7069dc119df00p-11
#define FG_ERF_UPPER_9 0x1.e91873ea1d874p-15
#define FG_ERF_UPPER_10 -0x1.d8457d7feb514p-14
#define FG_ERF_UPPER_11 -0x1.4737ed1c8db3bp-16
#define FG_ERF_UPPER_12 0x1.31912a8bd26f5p-16
#define FG_ERF_UPPER_13 0x1.bb6545ecdbda8p-18
#define FG_ERF_UPPER_14 -0x1.30940ee40e2b1p-19
#define FG_ERF_UPPER_15 -0x1.a43e59b2eb262p-20
#define FG_GAUSS 0x1.20dd750429b6dp+0
#define FG_GAUSS_A 0x1.20dd750000000p+0
#define FG_GAUSS_B 0x1.0a6db446b8ea4p-30
#define FG_DENSITY 0x1.9884533d43651p-2
#define FG_DENSITY_A 0x1.9884530000000p-2
#define FG_DENSITY_B 0x1.ea1b284687e5ap-29

/* Sin and cos within an eighth of a turn by x^2; pi/2 in parts; the bits of 2/pi. */
#define FG_TWO_OVER_PI 0x1.45f306dc9c883p-1
#define FG_PI_2 0x1.921fb54442d18p+0
#define FG_PI_2_LO 0x1.1a62633145c07p-54
#define FG_PI_2_A 0x1.921fb54440000p+0
#define FG_PI_2_B 0x1.68c234c4c0000p-39
#define FG_PI_2_C 0x1.98a2e03700000p-77
#define FG_PI_2_D 0x1.cd129024e088ap-115
#define FG_SIN_0 -0x1.555555555554cp-3
#define FG_SIN_1 0x1.111111110fb4ap-7
#define FG_SIN_2 -0x1.a01a019c2fea4p-13
#define FG_SIN_3 0x1.71de356eb0de6p-19
#define FG_SIN_4 -0x1.ae5e4bb84bc9dp-26
#define FG_SIN_5 0x1.5d87440c807b4p-33
#define FG_COS_0 0x1.5555555555553p-5
#define FG_COS_1 -0x1.6c16c16c16131p-10
#define FG_COS_2 0x1.a01a019e24894p-16
#define FG_COS_3 -0x1.27e4f903ab84cp-22
#define FG_COS_4 0x1.1eea890e2e204p-29
#define FG_COS_5 -0x1.8ff9ad8c46497p-37
static const uint32_t fg_two_over_pi[42] = {
    0x00000000,
    0x00000000,
    0xa2f9836e,
    0x4e441529,
    0xfc2757d1,
    0xf534ddc0,
    0xdb629599,
    0x3c439041,
    0xfe5163ab,
    0xdebbc561,
    0xb7246e3a,
    0x424dd2e0,
    0x06492eea,
    0x09d1921c,
    0xfe1deb1c,
    0xb129a73e,
    0xe88235f5,
    0x2ebb4484,
    0xe99c7026,
    0xb45f7e41,
    0x3991d639,
    0x835339f4,
    0x9c845f8b,
    0xbdf9283b,
    0x1ff897ff,
    0xde05980f,
    0xef2f118b,
    0x5a0a6d1f,
    0x6d367ecf,
    0x27cb09b7,
    0x4f463f66,
    0x9e5fea2d,
    0x7527bac7,
    0xebe5f17b,
    0x3d0739f7,
    0x8a5292ea,
    0x6bfb5fb1,
    0x1f8d5d08,
    0x56033046,
    0xfc7b6bab,
    0xf0cfbc20,
    0x9af4361d,
};

/* atan, to tan(pi/8), and asin, to 1/2, by x^2. */
#define FG_ATAN_0 -0x1.555555555554ap-2
#define FG_ATAN_1 0x1.9999999996e5ep-3
#define FG_ATAN_2 -0x1.24924923150c9p-3
#define FG_ATAN_3 0x1.c71c71036d8b4p-4
#define FG_ATAN_4 -0x1.745cfb2093a26p-4
#define FG_ATAN_5 0x1.3b113232f4045p-4
#define FG_ATAN_6 -0x1.10ec456652d09p-4
#define FG_ATAN_7 0x1.df1077941dc40p-5
#define FG_ATAN_8 -0x1.9cbe196156e20p-5
#define FG_ATAN_9 0x1.3769a3415ac62p-5
#define FG_ATAN_10 -0x1.2416bbcb412f4p-6
#define FG_ASIN_0 0x1.5555555555562p-3
#define FG_ASIN_1 0x1.333333333079ap-4
#define FG_ASIN_2 0x1.6db6db7091f23p-5
#define FG_ASIN_3 0x1.f1c71b0c79121p-6
#define FG_ASIN_4 0x1.6e8bd421b6ea6p-6
#define FG_ASIN_5 0x1.1c4a8acf9d0c5p-6
#define FG_ASIN_6 0x1.ca144d74a7927p-7
#define FG_ASIN_7 0x1.75ca249b851eap-7
#define FG_ASIN_8 0x1.603149b92a552p-7
#define FG_ASIN_9 0x1.ef8ae762bce74p-9
#define FG_ASIN_10 0x1.6262684408c20p-6
#define FG_ASIN_11 -0x1.5866d54f1d84ep-6
#define FG_ASIN_12 0x1.0c02a509a688cp-5

/* The inverse cube root of 1 <= m < 2, a first guess. */
#define FG_CBRT_0 0x1.ab8564a656109p+0
#define FG_CBRT_1 -0x1.2c419ef305ca2p+0
#define FG_CBRT_2 0x1.6416330964da6p-1
#define FG_CBRT_3 -0x1.c518eba0791cbp-3
#define FG_CBRT_4 0x1.d4712a48a98c5p-6
#define FG_CBRT_OF_2 0x1.428a2f98d728bp+0

/* sin(pi f) / f and cos(pi f) by f^2, |f| <= 1/4. */
static const double fg_sinpi[8] = {-0x1.5837e7fdfc6fap-16, 0x1.e8a329d5975a6p-12,
    -0x1.e306d999c5db3p-8, 0x1.5078342eb96e3p-4, -0x1.32d2cce5e34ffp-1, 0x1.466bc6775a716p+1,
    -0x1.4abbce625be50p+2, 0x1.921fb54442d18p+1};
static const double fg_sinpi_lo[3] = {
    -0x1.f40ca70cd8fadp-53, 0x1.191dbc3f9b27cp-54, 0x1.10b725c8962dfp-53};
static const double fg_cospi[8] = {-0x1.add5ccda8914fp-14, 0x1.f9bb1152d35aep-10,
    -0x1.a6d1d287b37dfp-6, 0x1.e1f5065b67f61p-3, -0x1.55d3c7e3a819dp+0, 0x1.03c1f081b58ecp+2,
    -0x1.3bd3cc9be45dcp+2, 0x1.0000000000000p+0};
static const double fg_cospi_lo[3] = {
    0x1.c1e4898e2c0f2p-52, 0x1.5f6d89d83ed5cp-52, -0x1.27463f2eec770p-58};
#define FG_PI 0x1.921fb54442d18p+1
#define FG_PI_LO 0x1.1a62633145c07p-53

/* The logarithm of Gamma, its derivative, and their expansions at infinity by 1/x^2. */
static const double fg_lgamma_below_1[25] = {0x1.0b7599cc34c22p-4, 0x1.1873d598177ccp+6,
    0x1.6455fc83a7790p+8, 0x1.aff6ac8fdaedfp+9, 0x1.493fc98907375p+10, 0x1.60b243c84f5c2p+10,
    0x1.1956244a19f40p+10, 0x1.5a2322711bf18p+9, 0x1.4f766e07a172fp+8, 0x1.03fd33ace54bep+7,
    0x1.43b9a36ead05dp+5, 0x1.49860d0daf260p+3, 0x1.015ffe6f9230ep+1, 0x1.b588f97325256p-2,
    -0x1.74c16805239a4p-5, 0x1.ad8f516ecd7a5p-4, -0x1.c66a39957e983p-4, 0x1.011847dc08150p-3,
    -0x1.2703029e9d3abp-3, 0x1.5b40d0902a231p-3, -0x1.a8b9c159039acp-3, 0x1.151322acbfc82p-2,
    -0x1.9a4d55beaa96fp-2, 0x1.a51a6625307d8p-1, -0x1.2788cfc6fb619p-1};
static const double fg_lgamma_below_1_lo[3] = {
    -0x1.0e5a36d2b463ap-56, 0x1.6e1adc92420d5p-56, 0x1.a058c578b55dcp-58};
static const double fg_lgamma_above_1[20] = {-0x1.39a060d0861e4p-10, 0x1.3f82088cabe55p-8,
    -0x1.e2de36d946e83p-8, 0x1.249354fdd0d12p-10, 0x1.09c1b3c826151p-6, -0x1.3b404e8f5b140p-5,
    0x1.daf28caa4f095p-5, -0x1.267c7775b9585p-4, 0x1.4f5c8b128339dp-4, -0x1.7327fcef48bfep-4,
    0x1.99c22d3e66c7ap-4, -0x1.c7fda7c382939p-4, 0x1.010ac100efb1cp-3, -0x1.270398b74ec8dp-3,
    0x1.5b40ca8d1a591p-3, -0x1.a8b9c1759da88p-3, 0x1.151322ac6d9ffp-2, -0x1.9a4d55beaaf3bp-2,
    0x1.a51a6625307d0p-1, -0x1.2788cfc6fb619p-1};
static const double fg_lgamma_above_1_lo[3] = {
    -0x1.26744263ca603p-60, 0x1.4a8e3fa48e183p-58, 0x1.9f97088f1a247p-58};
static const double fg_lgamma_at_2[22] = {0x1.d28e5e9c70b74p-26, -0x1.2cbc8b92c6056p-26,
    0x1.f3ebba83f5cabp-26, -0x1.e5f8f95a66f51p-24, 0x1.dcabe7fbd5f8fp-23, -0x1.d96c89da330cdp-22,
    0x1.ff2a3e36aa2fdp-21, -0x1.1213cae03a123p-19, 0x1.25a1781fc2ecbp-18, -0x1.3cb7b62199de4p-17,
    0x1.580d833fb4968p-16, -0x1.78de82f3603b9p-15, 0x1.a127b25fab131p-14, -0x1.d3fd4bb3bb528p-13,
    0x1.0b36af84238a8p-11, -0x1.38ac5c2d1c01dp-10, 0x1.7add6eadba1c0p-9, -0x1.e404fc218d82fp-8,
    0x1.51322ac7d8470p-6, -0x1.13e001a55760cp-4, 0x1.4a34cc4a60fa6p-2, 0x1.b0ee6072093cep-2};
static const double fg_lgamma_at_2_lo[3] = {
    -0x1.2bd1344616a43p-60, 0x1.1cbd0644304cbp-56, 0x1.80570378d1b7cp-58};
#define FG_LGAMMA_STIRLING 0x1.d67f1c864beb5p-1
#define FG_LGAMMA_STIRLING_LO -0x1.65b5a1b7ff5dfp-55
#define FG_LNPI 0x1.250d048e7a1bdp+0
#define FG_LNPI_LO 0x1.7abf2ad8d5088p-57
static const double fg_lgamma_tail[7] = {0x1.4c3829132c98bp-8, -0x1.ef980c25087d8p-10,
    0x1.b92c938d403d2p-11, -0x1.38134e166afcdp-11, 0x1.a01a017e8adc5p-11, -0x1.6c16c16c14af7p-9,
    0x1.5555555555555p-4};
#define FG_DIGAMMA_ROOT 0x1.762d86356be3fp+0
#define FG_DIGAMMA_ROOT_LO 0x1.b86a722197829p-54
static const double fg_digamma_slope[23] = {0x1.fc3a1a0212bdap-14, -0x1.7606d91bafe14p-13,
    0x1.8753e42106e7fp-14, -0x1.2f52340d11d38p-13, 0x1.55b4fe5f71aeep-12, -0x1.fda8304e93774p-12,
    0x1.69e84c9c03716p-11, -0x1.0fb184dc40d27p-10, 0x1.99dce96edc4cep-10, -0x1.336df07f90b41p-9,
    0x1.cd1f7860b29cdp-9, -0x1.5a06a2cad325cp-8, 0x1.03c0b0f5c82c1p-7, -0x1.86356411ffaccp-7,
    0x1.2564716239534p-6, -0x1.b9f8b11b4f505p-6, 0x1.4de9aa17d2e56p-5, -0x1.fb44202a25367p-5,
    0x1.8512e590384e1p-4, -0x1.2feeeb98a78d0p-3, 0x1.eca189b8e6f76p-3, -0x1.b1cb63005ee98p-2,
    0x1.e6f0cbb873616p-1};
static const double fg_digamma_slope_lo[3] = {
    0x1.5e0f7e2fb7555p-57, -0x1.8601f9609f2cap-56, 0x1.8d11588f51863p-55};
static const double fg_digamma_tail[8] = {-0x1.3302f971cbf6ap-2, 0x1.47dd0bc087ce8p-4,
    -0x1.58e87bf76c109p-6, 0x1.f07735cb61135p-8, -0x1.11110c2dc0e78p-8, 0x1.04104101a9b1cp-8,
    -0x1.1111111110d77p-7, 0x1.5555555555555p-4};
static const double fg_trigamma_tail[8] = {-0x1.254991b210f79p+2, 0x1.1c194d1fff572p+0,
    -0x1.0276046ea86edp-2, 0x1.36484fe01bdb0p-4, -0x1.1111069d21145p-5, 0x1.8618617bd8cf8p-6,
    -0x1.11111111101b7p-5, 0x1.5555555555555p-3};
static const double fg_tetragamma_tail[9] = {0x1.0f09285f1d106p+9, -0x1.b04ba356a6dc3p+6,
    0x1.15181acef644ap+4, -0x1.a4fa3b4a81e93p+1, 0x1.aaa99408efdc1p-1, -0x1.3333318d1411fp-2,
    0x1.5555555413827p-3, -0x1.5555555555260p-3, 0x1.0000000000000p-1};
static const double fg_pentagamma_tail[10] = {-0x1.78d0a6fbd7097p+16, 0x1.0942f972536d6p+14,
    -0x1.074485c0960a6p+11, 0x1.1756147a899a5p+8, -0x1.707f9e0f2f4e0p+5, 0x1.3fffdb18c5ce8p+3,
    -0x1.7fffffa7a6ccbp+1, 0x1.555555551f69ep+0, -0x1.fffffffffff33p-1, 0x1.0000000000000p+1};

#endif
